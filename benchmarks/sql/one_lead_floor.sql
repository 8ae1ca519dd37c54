-- The floor of one lead's features: one plain aggregate over its events, found by index.
select
    max(occurred_at),
    count(*) filter (where direction = 'inbound'),
    count(*) filter (where direction = 'outbound'),
    sum(duration_seconds)
from intermediate.int_lead_timeline
where lead_id = %(lead_id)s and occurred_at < %(as_of)s and known_at < %(as_of)s
