{{
    config(
        indexes=[
            {'columns': ['event_id'], 'unique': true},
            {'columns': ['lead_id', 'occurred_at']},
        ],
        post_hook='analyze {{ this }}'
    )
}}

with leads as (

    select * from {{ ref('int_leads') }}

),

communications as (

    select * from {{ ref('int_communications') }}

),

surviving as (

    select * from {{ ref('int_contacts_surviving') }}

),

appointments as (

    select * from {{ ref('stg_ghl__appointments') }}

),

opportunities as (

    select * from {{ ref('stg_ghl__opportunities') }}

),

imported as (

    select * from {{ ref('stg_import__leads') }}

),

lead_created as (

    -- Intake is known from the day it came in: our own write-back moves the row's clock later.
    select
        lead_id,
        location_id,
        'lead_created' as event_type,
        cast(null as text) as channel,
        cast(null as text) as direction,
        'lead' as actor,
        cast(null as text) as agent_id,
        created_at as occurred_at,
        created_at as known_at,
        origin as source_system,
        coalesce(contact_id, lead_id) as source_row_id,
        cast(null as bigint) as amount_cents,
        cast(null as integer) as duration_seconds,
        source as outcome
    from leads

),

touches as (

    select
        lead_id,
        location_id,
        'touch' as event_type,
        channel,
        direction,
        actor,
        agent_id,
        occurred_at,
        known_at,
        source_system,
        source_row_id,
        cast(null as bigint) as amount_cents,
        duration_seconds,
        outcome
    from communications

),

engagements as (

    select
        'email_opened' as event_type,
        false as needs_click

    union all

    select
        'email_clicked' as event_type,
        true as needs_click

),

email_engagements as (

    select
        communications.lead_id,
        communications.location_id,
        engagements.event_type,
        communications.channel,
        cast(null as text) as direction,
        'lead' as actor,
        communications.agent_id,
        communications.engaged_at as occurred_at,
        communications.engagement_known_at as known_at,
        communications.source_system,
        communications.source_row_id,
        cast(null as bigint) as amount_cents,
        cast(null as integer) as duration_seconds,
        communications.outcome
    from communications
    -- Who clicked has opened.
    inner join engagements on communications.is_clicked or not engagements.needs_click
    where communications.engaged_at is not null and communications.channel = 'email'

),

lead_appointments as (

    select
        surviving.lead_id,
        surviving.merge_known_at,
        appointments.*
    from appointments
    inner join surviving
        on
            appointments.location_id = surviving.location_id
            and appointments.contact_id = surviving.contact_id

),

appointments_booked as (

    /*
        The row's clock moves when the appointment is held or missed; the booking itself was known
        when the CRM made the row.
    */
    select
        lead_id,
        location_id,
        'appointment_booked' as event_type,
        cast(null as text) as channel,
        cast(null as text) as direction,
        'agent' as actor,
        agent_id,
        booked_at as occurred_at,
        greatest(
            case when is_backfill or updated_at > booked_at then booked_at else known_at end,
            coalesce(merge_known_at, booked_at)
        ) as known_at,
        'ghl' as source_system,
        appointment_id as source_row_id,
        cast(null as bigint) as amount_cents,
        {{ seconds_between('starts_at', 'ends_at') }} as duration_seconds,
        status as outcome
    from lead_appointments

),

appointments_decided as (

    select
        lead_id,
        location_id,
        'appointment_' || status as event_type,
        cast(null as text) as channel,
        cast(null as text) as direction,
        case when status = 'cancelled' then 'agent' else 'lead' end as actor,
        agent_id,
        case when status = 'cancelled' then updated_at else starts_at end as occurred_at,
        greatest(known_at, coalesce(merge_known_at, known_at)) as known_at,
        'ghl' as source_system,
        appointment_id as source_row_id,
        cast(null as bigint) as amount_cents,
        {{ seconds_between('starts_at', 'ends_at') }} as duration_seconds,
        status as outcome
    from lead_appointments
    where status != 'booked'

),

lead_opportunities as (

    select
        surviving.lead_id,
        surviving.merge_known_at,
        opportunities.*
    from opportunities
    inner join surviving
        on
            opportunities.location_id = surviving.location_id
            and opportunities.contact_id = surviving.contact_id

),

opportunities_created as (

    select
        lead_id,
        location_id,
        'opportunity_created' as event_type,
        cast(null as text) as channel,
        cast(null as text) as direction,
        'agent' as actor,
        agent_id,
        created_at as occurred_at,
        greatest(
            case when is_backfill or updated_at > created_at then created_at else known_at end,
            coalesce(merge_known_at, created_at)
        ) as known_at,
        'ghl' as source_system,
        opportunity_id as source_row_id,
        value_cents as amount_cents,
        cast(null as integer) as duration_seconds,
        source as outcome
    from lead_opportunities

),

opportunities_decided as (

    select
        lead_id,
        location_id,
        case when status = 'won' then 'opportunity_won' else 'opportunity_lost' end as event_type,
        cast(null as text) as channel,
        cast(null as text) as direction,
        'agent' as actor,
        agent_id,
        status_changed_at as occurred_at,
        greatest(known_at, coalesce(merge_known_at, known_at)) as known_at,
        'ghl' as source_system,
        opportunity_id as source_row_id,
        value_cents as amount_cents,
        cast(null as integer) as duration_seconds,
        status as outcome
    from lead_opportunities
    where status in ('won', 'lost', 'abandoned')

),

imports_decided as (

    -- The outcome of an imported lead stands for that of an opportunity.
    select
        leads.lead_id,
        leads.location_id,
        case
            when imported.has_converted then 'opportunity_won' else 'opportunity_lost'
        end as event_type,
        cast(null as text) as channel,
        cast(null as text) as direction,
        'agent' as actor,
        cast(null as text) as agent_id,
        coalesce(imported.outcome_at, imported.known_at) as occurred_at,
        imported.known_at,
        'import' as source_system,
        imported.external_id as source_row_id,
        cast(null as bigint) as amount_cents,
        cast(null as integer) as duration_seconds,
        case when imported.has_converted then 'won' else 'lost' end as outcome
    from imported
    left join surviving
        on
            imported.location_id = surviving.location_id
            and imported.external_id = surviving.contact_id
    inner join leads
        on coalesce(surviving.lead_id, imported.location_id || ':' || imported.external_id) = leads.lead_id
    where imported.has_converted is not null

),

events as (

    select * from lead_created
    union all
    select * from touches
    union all
    select * from email_engagements
    union all
    select * from appointments_booked
    union all
    select * from appointments_decided
    union all
    select * from opportunities_created
    union all
    select * from opportunities_decided
    union all
    select * from imports_decided

),

final as (

    select
        source_system || ':' || event_type || ':' || location_id || ':' || source_row_id as event_id,
        lead_id,
        location_id,
        event_type,
        channel,
        direction,
        actor,
        agent_id,
        occurred_at,
        known_at,
        source_system,
        source_row_id,
        amount_cents,
        cast(duration_seconds as integer) as duration_seconds,
        outcome
    from events
    where occurred_at is not null

)

select * from final
