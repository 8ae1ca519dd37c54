-- The next event that may be a word against; the condition is that of ops.webhook_events_urgent.
select
    provider,
    event_id,
    event_type,
    payload
from ops.webhook_events
where
    handled_at is null
    and handling_error is null
    and event_type in ('message.received', 'unsubscribe', 'group_unsubscribe', 'spamreport')
order by received_at
limit 1
for update skip locked
