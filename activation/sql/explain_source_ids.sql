-- Which raw rows the events come from that a lead's features saw, the newest first.
select
    source_system,
    source_row_id
from intermediate.int_lead_timeline
where lead_id = %(lead_id)s and occurred_at <= %(as_of)s and known_at <= %(as_of)s
order by occurred_at desc
limit %(most)s
