{{
    config(
        materialized='incremental',
        incremental_strategy='changed_keys',
        on_schema_change='fail',
        indexes=[
            {'columns': ['lead_id']},
        ],
        meta={'computed_whole': true},
        pre_hook="{{ find_changes() }}",
        post_hook="{{ remember_changes() }}"
    )
}}

with batch_items as (

    select * from {{ ref('stg_ops__batch_items') }}

),

journey_notes as (

    select * from {{ ref('stg_ops__enrollment_events') }}

),

tier_changes as (

    select * from {{ ref('stg_ml__tier_changes') }}

),

surviving as (

    select * from {{ ref('int_contacts_surviving') }}

),

leads as (

    select * from {{ ref('int_leads') }}

),

enrollments as (

    -- A plan that nobody approved, and one that never sends, enrolls nobody.
    select
        lead_id,
        location_id,
        case decision when 'send' then 'enrolled' else 'held_out' end as event_type,
        channel,
        sequence_name as outcome,
        batch_id as source_row_id,
        lead_id as event_version,
        approved_at as occurred_at,
        approved_at as known_at
    from batch_items
    where decision in ('send', 'holdout') and approved_at is not null and not is_dry_run

),

journeys as (

    -- That the first step was planned is the enrollment above.
    select
        lead_id,
        location_id,
        case
            when kind in ('completed', 'stopped') then 'sequence_' || kind
            when kind = 'branch' then 'sequence_branched'
            else 'step_' || kind
        end as event_type,
        cast(null as text) as channel,
        sequence_name || ':' || cast(step as text) || coalesce(':' || detail, '') as outcome,
        enrollment_event_id as source_row_id,
        '' as event_version,
        occurred_at,
        known_at
    from journey_notes
    where kind != 'enrolled'

),

scores as (

    select
        lead_id,
        location_id,
        'score_tier_changed' as event_type,
        cast(null as text) as channel,
        tier as outcome,
        lead_id as source_row_id,
        cast({{ epoch_seconds('as_of') }} as text) as event_version,
        as_of as occurred_at,
        scored_at as known_at
    from tier_changes

),

events as (

    select * from enrollments
    union all
    select * from journeys
    union all
    select * from scores

),

named_now as (

    -- The engine wrote the lead's name of then; its contact may have been merged since.
    select
        coalesce(surviving.lead_id, events.lead_id) as lead_id,
        events.lead_id as lead_id_then,
        events.location_id,
        events.event_type,
        events.channel,
        events.outcome,
        events.source_row_id,
        events.event_version,
        events.occurred_at,
        greatest(events.known_at, coalesce(surviving.merge_known_at, events.known_at)) as known_at
    from events
    left join surviving
        on
            events.location_id = surviving.location_id
            and events.lead_id = surviving.location_id || ':' || surviving.contact_id

),

final as (

    select named_now.*
    from named_now
    inner join leads on named_now.lead_id = leads.lead_id

)

select * from final
