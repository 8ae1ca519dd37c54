{{
    config(
        indexes=[
            {'columns': ['lead_id'], 'unique': true},
            {'columns': ['location_id', 'came_in_at']},
        ]
    )
}}

with leads as (

    select * from {{ ref('dim_leads') }}

),

locations as (

    select * from {{ ref('stg_ghl__locations') }}

),

communications as (

    select * from {{ ref('fct_communications') }}

),

outbound as (

    select *
    from communications
    where direction = 'outbound' and occurred_at < {{ scoring_moment() }}

),

ranked_touches as (

    select
        *,
        row_number() over (partition by lead_id order by occurred_at, event_id) as place,
        row_number() over (partition by lead_id, actor order by occurred_at, event_id) as place_of_actor
    from outbound

),

first_touches as (

    select
        lead_id,
        min(case when place = 1 then occurred_at end) as first_touch_at,
        min(case when place = 1 then channel end) as first_touch_channel,
        min(case when place = 1 then actor end) as first_touch_actor,
        min(case when actor = 'agent' then occurred_at end) as first_agent_touch_at,
        min(case when actor = 'agent' then agent_id end) as first_agent_id
    from ranked_touches
    where place = 1 or (actor = 'agent' and place_of_actor = 1)
    group by lead_id

),

timed as (

    select
        leads.lead_id,
        leads.location_id,
        leads.source,
        leads.assigned_agent_id,
        leads.created_at as came_in_at,
        coalesce(locations.timezone, 'UTC') as office_timezone,
        coalesce(first_touches.first_touch_at < leads.created_at, false) as was_contacted_before,
        first_touches.first_touch_at,
        first_touches.first_touch_channel,
        first_touches.first_touch_actor,
        first_touches.first_agent_touch_at,
        first_touches.first_agent_id
    from leads
    left join locations on leads.location_id = locations.location_id
    left join first_touches on leads.lead_id = first_touches.lead_id

),

waits as (

    -- Whom we had written to before waited for nobody: there is no wait to measure.
    select
        *,
        {{ local_time('came_in_at', 'office_timezone') }} as local_came_in_at,
        case when not was_contacted_before then first_touch_at end as answered_at,
        case when not was_contacted_before then first_agent_touch_at end as agent_answered_at,
        case when not was_contacted_before then {{ local_time('first_touch_at', 'office_timezone') }} end
            as local_answered_at,
        case
            when not was_contacted_before then {{ local_time('first_agent_touch_at', 'office_timezone') }}
        end as local_agent_answered_at
    from timed

),

final as (

    select
        lead_id,
        location_id,
        source,
        assigned_agent_id,
        came_in_at,
        cast(local_came_in_at as date) as came_in_on,
        {{ is_business_time('local_came_in_at') }} as is_in_business_hours,
        was_contacted_before,
        answered_at as first_touch_at,
        case when answered_at is not null then first_touch_channel end as first_touch_channel,
        case when answered_at is not null then first_touch_actor end as first_touch_actor,
        cast({{ seconds_between('came_in_at', 'answered_at') }} / 60.0 as double precision)
            as minutes_to_first_touch,
        cast(
            ({{ business_seconds('local_answered_at') }} - {{ business_seconds('local_came_in_at') }}) / 60.0
            as double precision
        ) as business_minutes_to_first_touch,
        case
            when was_contacted_before then null
            when answered_at is not null then {{ seconds_between('came_in_at', 'answered_at') }} <= 300
            when {{ seconds_between('came_in_at', scoring_moment()) }} > 300 then false
        end as is_answered_within_5_minutes,
        agent_answered_at as first_agent_touch_at,
        case when agent_answered_at is not null then first_agent_id end as answered_by_agent_id,
        case when agent_answered_at is not null then first_agent_id = assigned_agent_id end
            as is_answered_by_owner,
        cast({{ seconds_between('came_in_at', 'agent_answered_at') }} / 60.0 as double precision)
            as minutes_to_agent_touch,
        cast(
            (
                {{ business_seconds('local_agent_answered_at') }}
                - {{ business_seconds('local_came_in_at') }}
            ) / 60.0
            as double precision
        ) as business_minutes_to_agent_touch
    from waits

)

select * from final
