-- All that one lead's features are made from, as one digest, and the moment that they are for.
--
-- The digest is over the contents of the rows that rendered/one_lead_features.sql reads: the lead,
-- its location's time zone, its events, and the days of the agents among them. A new event, a
-- correction, a deletion, an event that moved to another lead, each makes another digest, whoever
-- made the change and however; nothing has to be notified.
--
-- The moment is the start of the current minute or, if something was learnt since, just after the
-- last of it. What happened before now is therefore always seen, and within a minute in which
-- nothing happens the features cannot move. A moment that the caller names stands instead.
with lead as (
    select
        leads.lead_id,
        leads.location_id,
        leads.created_at,
        known.status,
        hash_record_extended(
            row(
                leads.location_id, leads.created_at, leads.source, leads.lead_intent,
                leads.timeline, leads.property_type, leads.beds, leads.price_min_cents,
                leads.price_max_cents, locations.timezone
            ), 0
        ) as digest
    from intermediate.int_leads as leads
    inner join marts.dim_leads as known on leads.lead_id = known.lead_id
    left join staging.stg_ghl__locations as locations on leads.location_id = locations.location_id
    where leads.lead_id = %(lead_id)s
),

events as (
    select
        agent_id,
        greatest(occurred_at, known_at) as seen_from,
        hash_record_extended(
            row(
                event_id, event_type, channel, direction, actor, agent_id, occurred_at, known_at,
                duration_seconds, outcome
            ), 0
        ) as digest
    from intermediate.int_lead_timeline
    where lead_id = %(lead_id)s
),

together as (
    select
        max(seen_from) filter (where seen_from < %(now)s) as last_seen_from,
        concat_ws('/', count(*), sum(digest)) as digest
    from events
),

agents as (
    select sum(hash_record_extended(row(days.agent_id, days.touches_7d, days.leads_7d), 0)) as digest
    from intermediate.int_agent_days as days
    where
        days.location_id = (select lead.location_id from lead)
        and days.agent_id in (select events.agent_id from events)
        and days.day = (%(now)s::timestamptz at time zone 'UTC')::date
)

select
    lead.location_id,
    lead.status,
    coalesce(%(as_of)s::timestamptz, greatest(
        date_trunc('minute', %(now)s::timestamptz),
        together.last_seen_from + interval '1 microsecond',
        case when lead.created_at < %(now)s then lead.created_at + interval '1 microsecond' end
    )) as as_of,
    concat_ws('/', lead.digest, together.digest, agents.digest) as inputs
from lead
cross join together
cross join agents
