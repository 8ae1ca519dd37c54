{{
    config(
        materialized='incremental',
        incremental_strategy='changed_keys',
        on_schema_change='fail',
        indexes=[
            {'columns': ['event_id'], 'unique': true},
            {'columns': ['lead_id', 'occurred_at']},
            {'columns': ['location_id', 'occurred_at']},
        ],
        pre_hook="{{ find_changes([news_of(ref('int_lead_timeline'))], all_leads()) }}",
        post_hook="{{ remember_changes() }}"
    )
}}

with timeline as (

    select * from {{ ref('int_lead_timeline') }}

),

final as (

    select
        event_id,
        lead_id,
        location_id,
        channel,
        direction,
        actor,
        occurred_at,
        known_at,
        outcome as status,
        duration_seconds,
        agent_id,
        source_system,
        source_row_id
    from timeline
    where event_type = 'touch' and {{ only_changed() }}

)

select * from final
