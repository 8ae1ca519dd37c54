-- The newest ripe score of each lead, and whether it converted within the score's window.
with newest as (
    select distinct on (scores.lead_id)
        scores.lead_id,
        scores.as_of,
        scores.score,
        scores.as_of + %(label_days)s * interval '24 hours' as label_until
    from ml.lead_scores as scores
    where scores.as_of > %(from)s and scores.as_of <= %(ripe)s
    order by scores.lead_id, scores.as_of desc
)

select
    newest.score,
    exists (
        select 1
        from intermediate.int_lead_timeline as events
        where
            events.lead_id = newest.lead_id
            and events.event_type in ('appointment_kept', 'opportunity_won')
            and events.occurred_at >= newest.as_of
            and events.occurred_at < newest.label_until
    )::int as converted
from newest
-- A lead that was merged away goes on under another name, and its outcome there.
inner join intermediate.int_leads as leads on newest.lead_id = leads.lead_id
where leads.deleted_at is null or leads.deleted_at >= newest.label_until
