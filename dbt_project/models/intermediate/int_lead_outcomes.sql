{{ config(indexes=[{'columns': ['lead_id'], 'unique': true}]) }}

with timeline as (

    select * from {{ ref('int_lead_timeline') }}

),

final as (

    select
        lead_id,
        min(case when event_type = 'touch' and direction = 'inbound' then occurred_at end)
            as first_inbound_at,
        min(case when event_type = 'appointment_booked' then occurred_at end) as first_booked_at,
        min(case when event_type = 'appointment_kept' then occurred_at end) as first_kept_at,
        min(case when event_type = 'opportunity_won' then occurred_at end) as first_won_at,
        min(case when event_type in ('appointment_kept', 'opportunity_won') then occurred_at end)
            as converted_at,
        max(case when event_type in ('appointment_kept', 'opportunity_won') then occurred_at end)
            as last_converted_at,
        coalesce(sum(case when event_type = 'opportunity_won' then amount_cents end), 0)
            as won_value_cents
    from timeline
    where occurred_at < {{ scoring_moment() }}
    group by lead_id

)

select * from final
