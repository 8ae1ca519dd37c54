{{
    config(
        indexes=[
            {'columns': ['event_id'], 'unique': true},
            {'columns': ['lead_id', 'occurred_at']},
            {'columns': ['location_id', 'occurred_at']},
            {'columns': ['email_id']},
        ]
    )
}}

with email_events as (

    select * from {{ ref('int_email_events') }}

),

final as (

    select
        event_id,
        lead_id,
        location_id,
        event_type,
        email_id,
        actor,
        agent_id,
        outcome as status,
        occurred_at,
        is_time_exact,
        known_at,
        source_system,
        source_row_id
    from email_events

)

select * from final
