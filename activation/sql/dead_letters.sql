-- Messages that no provider ever took and that nothing will try again: what a carrier failed to
-- deliver has gone out, and what a person has settled stays settled.
select
    send_id,
    batch_id,
    lead_id,
    location_id,
    channel,
    status,
    status_reason,
    attempts,
    settled_at
from ops.sends
where
    status in ('failed', 'rejected')
    and sent_at is null
    and provider_message_id is null
    and status_reason is distinct from 'resolved_by_hand'
    and (%(batch_id)s::uuid is null or batch_id = %(batch_id)s)
    and (%(send_ids)s::uuid [] is null or send_id = any(%(send_ids)s))
order by settled_at desc, send_id
