{{
    config(
        indexes=[
            {'columns': ['lead_id'], 'unique': true},
            {'columns': ['location_id', 'came_in_on']},
        ]
    )
}}

with speed as (

    select * from {{ ref('fct_speed_to_lead') }}

),

outcomes as (

    select * from {{ ref('int_lead_outcomes') }}

),

final as (

    select
        speed.lead_id,
        speed.location_id,
        coalesce(speed.source, 'unknown') as source,
        speed.assigned_agent_id as agent_id,
        speed.came_in_on,
        speed.is_in_business_hours,
        speed.minutes_to_first_touch,
        speed.minutes_to_agent_touch,
        speed.is_answered_within_5_minutes,
        outcomes.first_inbound_at,
        outcomes.first_booked_at,
        outcomes.first_kept_at,
        outcomes.first_won_at,
        outcomes.converted_at,
        cast(coalesce(outcomes.won_value_cents, 0) as bigint) as won_value_cents
    from speed
    left join outcomes on speed.lead_id = outcomes.lead_id

)

select * from final
