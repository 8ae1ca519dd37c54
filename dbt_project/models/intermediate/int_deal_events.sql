{{
    config(
        materialized='incremental',
        incremental_strategy='changed_keys',
        on_schema_change='fail',
        indexes=[
            {'columns': ['lead_id']},
        ],
        pre_hook="{{ find_changes(
            [
                news_of(ref('int_contacts_surviving')),
                news_of(ref('int_opportunity_stages'), 'lead'),
                news_of(ref('int_deal_corrections'), 'lead'),
                news_of_contacts(source('raw_ghl', 'appointments')),
                news_of_contacts(source('raw_ghl', 'opportunities')),
            ],
            all_leads(),
            also=rows_digest(ref('stg_ghl__pipeline_stages'))
        ) }}",
        post_hook="{{ remember_changes() }}"
    )
}}

with appointments as (

    select * from {{ ref('stg_ghl__appointments') }}

),

opportunities as (

    select * from {{ ref('stg_ghl__opportunities') }}

),

opportunity_stages as (

    select * from {{ ref('int_opportunity_stages') }}
    where {{ only_changed() }}

),

stages as (

    select * from {{ ref('stg_ghl__pipeline_stages') }}

),

deal_corrections as (

    select * from {{ ref('int_deal_corrections') }}
    where {{ only_changed() }}

),

surviving as (

    select * from {{ ref('int_contacts_surviving') }}
    where {{ only_changed() }}

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

first_events as (

    select * from appointments_booked
    union all
    select * from appointments_decided
    union all
    select * from opportunities_created
    union all
    select * from opportunities_decided

),

stages_changed as (

    select
        opportunity_stages.lead_id,
        opportunity_stages.location_id,
        'opportunity_stage_changed' as event_type,
        cast(null as text) as channel,
        cast(null as text) as direction,
        'agent' as actor,
        opportunity_stages.agent_id,
        opportunity_stages.entered_at as occurred_at,
        opportunity_stages.entered_known_at as known_at,
        'ghl' as source_system,
        opportunity_stages.opportunity_id as source_row_id,
        cast(null as bigint) as amount_cents,
        cast(null as integer) as duration_seconds,
        stages.stage_name as outcome,
        cast(opportunity_stages.stay_number as text) as event_version
    from opportunity_stages
    left join stages
        on
            opportunity_stages.location_id = stages.location_id
            and opportunity_stages.pipeline_id = stages.pipeline_id
            and opportunity_stages.stage_id = stages.stage_id
    where opportunity_stages.is_move

),

corrections as (

    select
        lead_id,
        location_id,
        event_type,
        cast(null as text) as channel,
        cast(null as text) as direction,
        'agent' as actor,
        agent_id,
        occurred_at,
        known_at,
        'ghl' as source_system,
        source_row_id,
        amount_cents,
        cast(null as integer) as duration_seconds,
        outcome,
        cast(version_number as text) as event_version
    from deal_corrections

),

final as (

    select
        *,
        '' as event_version
    from first_events

    union all

    select * from stages_changed

    union all

    select * from corrections

)

select * from final
