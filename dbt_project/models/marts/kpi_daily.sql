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

speed as (

    select * from {{ ref('fct_speed_to_lead') }}

),

-- Days are the location's own: that is when its office is open.
events as (

    select
        timeline.*,
        timeline.event_type = 'touch' and timeline.direction = 'inbound' as is_inbound,
        timeline.event_type = 'touch' and timeline.direction = 'outbound' as is_outbound,
        {{ local_date('timeline.occurred_at', "coalesce(locations.timezone, 'UTC')") }} as day
    from timeline
    left join locations on timeline.location_id = locations.location_id
    where timeline.occurred_at < {{ scoring_moment() }}

),

daily_responses as (

    -- By the day on which the lead came in; one that we had written to before waited for nobody.
    select
        location_id,
        came_in_on as day,
        count(first_touch_at) as leads_answered,
        avg(minutes_to_first_touch) as avg_first_response_minutes
    from speed
    where not was_contacted_before
    group by location_id, came_in_on

),

opt_outs as (

    select
        consent_events.location_id,
        consent_events.lead_id,
        {{ local_date('consent_events.occurred_at', "coalesce(locations.timezone, 'UTC')") }} as day
    from consent_events
    left join locations on consent_events.location_id = locations.location_id
    where
        consent_events.action = 'revoked'
        and consent_events.occurred_at < {{ scoring_moment() }}
        -- Do not disturb is left out: the CRM does not say since when it is so.
        and consent_events.method in (
            'inbound_sms', 'inbound_email', 'carrier_opt_out', 'suppression_unsubscribes',
            'suppression_spam_reports'
        )

),

daily_opt_outs as (

    select
        location_id,
        day,
        count(distinct lead_id) as opt_outs
    from opt_outs
    group by location_id, day

),

daily_events as (

    select
        location_id,
        day,
        count(case when event_type = 'lead_created' then 1 end) as new_leads,
        count(case when channel = 'sms' and is_inbound then 1 end) as sms_inbound,
        count(case when channel = 'sms' and is_outbound then 1 end) as sms_outbound,
        count(case when channel = 'email' and is_inbound then 1 end) as email_inbound,
        count(case when channel = 'email' and is_outbound then 1 end) as email_outbound,
        count(case when channel = 'call' and is_inbound then 1 end) as call_inbound,
        count(case when channel = 'call' and is_outbound then 1 end) as call_outbound,
        count(distinct case when is_inbound then lead_id end) as leads_engaged,
        count(distinct case when is_outbound then lead_id end) as leads_touched,
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

    -- Counted back from the last day: a record with a date of long ago hides nothing that is new.
    {{ dbt.generate_series(var('kpi_days')) }}

),

days as (

    select
        bounds.location_id,
        bounds.last_day - cast(offsets.generated_number as integer) + 1 as day
    from bounds
    cross join offsets
    where bounds.last_day - cast(offsets.generated_number as integer) + 1 >= bounds.first_day

),

final as (

    select
        days.location_id,
        days.day,
        cast(coalesce(daily_events.new_leads, 0) as integer) as new_leads,
        cast(coalesce(daily_events.sms_inbound, 0) as integer) as sms_inbound,
        cast(coalesce(daily_events.sms_outbound, 0) as integer) as sms_outbound,
        cast(coalesce(daily_events.email_inbound, 0) as integer) as email_inbound,
        cast(coalesce(daily_events.email_outbound, 0) as integer) as email_outbound,
        cast(coalesce(daily_events.call_inbound, 0) as integer) as call_inbound,
        cast(coalesce(daily_events.call_outbound, 0) as integer) as call_outbound,
        cast(coalesce(daily_events.leads_engaged, 0) as integer) as leads_engaged,
        cast(coalesce(daily_events.leads_touched, 0) as integer) as leads_touched,
        cast(coalesce(daily_events.appointments_booked, 0) as integer) as appointments_booked,
        cast(coalesce(daily_events.appointments_kept, 0) as integer) as appointments_kept,
        cast(coalesce(daily_events.appointments_no_show, 0) as integer) as appointments_no_show,
        cast(coalesce(daily_events.opportunities_won, 0) as integer) as opportunities_won,
        cast(coalesce(daily_events.opportunities_lost, 0) as integer) as opportunities_lost,
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
