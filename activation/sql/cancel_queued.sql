-- A message may wait under a lead that has turned out to be part of another one since, or under one
-- that another was part of: all of the person's records count.
with records as (
    select
        others.location_id,
        others.record_id
    from intermediate.int_lead_identities as own
    inner join intermediate.int_lead_identities as others on own.lead_id = others.lead_id
    where
        own.record_lead_id = %(lead_id)s
        or own.lead_id = %(lead_id)s
)

update ops.sends
set
    status = 'cancelled',
    status_reason = %(reason)s,
    settled_at = %(at)s,
    idempotency_key = idempotency_key || '#cancelled:' || send_id
where
    (
        lead_id = %(lead_id)s
        or (location_id, contact_id) in (select records.location_id, records.record_id from records)
    )
    and status = 'intent'
    and (%(channel)s::text is null or channel = %(channel)s)
