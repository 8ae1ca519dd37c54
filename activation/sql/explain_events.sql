-- The newest events that a lead's features saw.
select to_jsonb(events)
from (
    select *
    from intermediate.int_lead_timeline
    where lead_id = %(lead_id)s and occurred_at <= %(as_of)s and known_at <= %(as_of)s
    order by occurred_at desc
    limit %(newest)s
) as events
