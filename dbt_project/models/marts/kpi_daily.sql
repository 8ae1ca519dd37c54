{{ config(indexes=[{'columns': ['location_id', 'day'], 'unique': true}]) }}

with timeline as (

    select * from {{ ref('int_lead_timeline') }}

),

locations as (

    select * from {{ ref('stg_ghl__locations') }}

),

consent_events as (

    select * from {{ ref('int_consent_events') }}

),

-- Days are the location's own: that is when its office is open.
events as (

    select
        timeline.*,
        {{ local_date('timeline.occurred_at', "coalesce(locations.timezone, 'UTC')") }} as day
    from timeline
    left join locations on timeline.location_id = locations.location_id
    where timeline.occurred_at < {{ scoring_moment() }}

),

first_responses as (

    select
        lead_id,
        location_id,
        min(case when event_type = 'lead_created' then occurred_at end) as created_at,
        min(case when event_type = 'lead_created' then day end) as day,
        min(case when event_type = 'touch' and direction = 'outbound' then occurred_at end)
            as first_outbound_at
    from events
    group by lead_id, location_id

),

daily_responses as (

    select
        location_id,
        day,
        count(first_outbound_at) as leads_answered,
        avg({{ seconds_between('created_at', 'first_outbound_at') }}) / 60 as avg_first_response_minutes
    from first_responses
    where first_outbound_at is null or first_outbound_at >= created_at
    group by location_id, day

),

daily_opt_outs as (

    select
        consent_events.location_id,
        {{ local_date('consent_events.occurred_at', "coalesce(locations.timezone, 'UTC')") }} as day,
        count(distinct consent_events.lead_id) as opt_outs
    from consent_events
    left join locations on consent_events.location_id = locations.location_id
    where
        consent_events.action = 'revoked'
        and (
            consent_events.method like 'inbound_%'
            or consent_events.method in ('carrier_opt_out', 'suppression_unsubscribes', 'suppression_spam_reports')
        )
        and consent_events.occurred_at < {{ scoring_moment() }}
    group by 1, 2

),

daily_events as (

    select
        location_id,
        day,
        count(case when event_type = 'lead_created' then 1 end) as new_leads,
        {%- for channel in ['sms', 'email', 'call'] %}
        {%- for direction in ['inbound', 'outbound'] %}
        count(
            case
                when event_type = 'touch' and channel = '{{ channel }}' and direction = '{{ direction }}'
                    then 1
            end
        ) as {{ channel }}_{{ direction }},
        {%- endfor %}
        {%- endfor %}
        count(distinct case when event_type = 'touch' and direction = 'inbound' then lead_id end)
            as leads_engaged,
        count(distinct case when event_type = 'touch' and direction = 'outbound' then lead_id end)
            as leads_touched,
        count(case when event_type = 'appointment_booked' then 1 end) as appointments_booked,
        count(case when event_type = 'appointment_kept' then 1 end) as appointments_kept,
        count(case when event_type = 'appointment_no_show' then 1 end) as appointments_no_show,
        count(case when event_type = 'opportunity_won' then 1 end) as opportunities_won,
        count(case when event_type = 'opportunity_lost' then 1 end) as opportunities_lost,
        coalesce(sum(case when event_type = 'opportunity_won' then amount_cents end), 0) as won_value_cents
    from events
    group by location_id, day

),

bounds as (

    select
        location_id,
        min(day) as first_day,
        max(day) as last_day
    from daily_events
    group by location_id

),

offsets as (

    -- Ten years of days.
    {{ dbt.generate_series(3660) }}

),

days as (

    select
        bounds.location_id,
        bounds.first_day + cast(offsets.generated_number as integer) - 1 as day
    from bounds
    cross join offsets
    where bounds.first_day + cast(offsets.generated_number as integer) - 1 <= bounds.last_day

),

final as (

    select
        days.location_id,
        days.day,
        {%- for name in [
            'new_leads', 'sms_inbound', 'sms_outbound', 'email_inbound', 'email_outbound', 'call_inbound',
            'call_outbound', 'leads_engaged', 'leads_touched', 'appointments_booked', 'appointments_kept',
            'appointments_no_show', 'opportunities_won', 'opportunities_lost'
        ] %}
        cast(coalesce(daily_events.{{ name }}, 0) as integer) as {{ name }},
        {%- endfor %}
        cast(coalesce(daily_events.won_value_cents, 0) as bigint) as won_value_cents,
        cast(coalesce(daily_responses.leads_answered, 0) as integer) as leads_answered,
        cast(daily_responses.avg_first_response_minutes as double precision) as avg_first_response_minutes,
        cast(coalesce(daily_opt_outs.opt_outs, 0) as integer) as opt_outs
    from days
    left join daily_events
        on days.location_id = daily_events.location_id and days.day = daily_events.day
    left join daily_responses
        on days.location_id = daily_responses.location_id and days.day = daily_responses.day
    left join daily_opt_outs
        on days.location_id = daily_opt_outs.location_id and days.day = daily_opt_outs.day

)

select * from final
