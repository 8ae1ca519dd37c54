-- A message may wait under a lead that has turned out to be part of another one since, or under one
-- that another was part of: all of the person's records count.
update ops.sends
set
    status = 'cancelled',
    status_reason = %(reason)s,
    settled_at = %(at)s,
    idempotency_key = idempotency_key || '#cancelled:' || send_id
where
    (
        lead_id = %(lead_id)s
        or lead_id = any(%(records)s)
        or location_id || ':' || contact_id = any(%(records)s)
    )
    and status = 'intent'
    and (%(channel)s::text is null or channel = %(channel)s)
