{{ config(indexes=[{'columns': ['location_id', 'source'], 'unique': true}]) }}

with leads as (

    select * from {{ ref('dim_leads') }}

),

speed as (

    select * from {{ ref('fct_speed_to_lead') }}

),

outcomes as (

    select * from {{ ref('int_lead_outcomes') }}

),

figures as (

    select
        leads.location_id,
        coalesce(leads.source, 'unknown') as source,
        min(leads.created_at) as first_lead_at,
        max(leads.created_at) as last_lead_at,
        count(*) as leads,
        count(case when leads.is_open then 1 end) as leads_open,
        count(speed.minutes_to_first_touch) as leads_answered,
        avg(speed.minutes_to_first_touch) as avg_first_response_minutes,
        count(outcomes.first_inbound_at) as leads_engaged,
        count(outcomes.first_booked_at) as leads_booked,
        count(outcomes.first_kept_at) as leads_kept,
        count(outcomes.first_won_at) as leads_won,
        count(outcomes.converted_at) as leads_converted,
        coalesce(sum(outcomes.won_value_cents), 0) as won_value_cents
    from leads
    left join speed on leads.lead_id = speed.lead_id
    left join outcomes on leads.lead_id = outcomes.lead_id
    group by leads.location_id, coalesce(leads.source, 'unknown')

),

final as (

    select
        location_id,
        source,
        first_lead_at,
        last_lead_at,
        cast(leads as integer) as leads,
        cast(leads_open as integer) as leads_open,
        cast(leads_answered as integer) as leads_answered,
        cast(avg_first_response_minutes as double precision) as avg_first_response_minutes,
        cast(leads_engaged as integer) as leads_engaged,
        cast(leads_booked as integer) as leads_booked,
        cast(leads_kept as integer) as leads_kept,
        cast(leads_won as integer) as leads_won,
        cast(leads_converted as integer) as leads_converted,
        {{ fraction('leads_engaged', 'leads') }} as engaged_rate,
        {{ fraction('leads_converted', 'leads') }} as conversion_rate,
        cast(won_value_cents as bigint) as won_value_cents
    from figures

)

select * from final
