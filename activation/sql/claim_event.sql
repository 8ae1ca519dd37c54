-- The next event that waits to be handled.
select
    provider,
    event_id,
    event_type,
    payload
from ops.webhook_events
where handled_at is null and handling_error is null
order by received_at
limit 1
for update skip locked
