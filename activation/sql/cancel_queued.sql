update ops.sends
set
    status = 'cancelled',
    status_reason = %(reason)s,
    settled_at = %(at)s,
    idempotency_key = idempotency_key || '#cancelled:' || send_id
where
    lead_id = %(lead_id)s
    and status = 'intent'
    and (%(channel)s::text is null or channel = %(channel)s)
