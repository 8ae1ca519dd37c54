{{
    config(
        indexes=[{'columns': ['location_id', 'agent_id', 'day'], 'unique': true}],
        post_hook='analyze {{ this }}'
    )
}}

with timeline as (

    select * from {{ ref('int_lead_timeline') }}

),

days_after_touch as (

    {{ dbt.generate_series(7) }}

),

agent_touches as (

    select
        location_id,
        agent_id,
        lead_id,
        {{ local_date('occurred_at', "'UTC'") }} as occurred_on,
        {{ local_date('known_at', "'UTC'") }} as known_on
    from timeline
    where
        event_type = 'touch'
        and direction = 'outbound'
        and actor = 'agent'
        and agent_id is not null

),

touches_by_day as (

    select
        location_id,
        agent_id,
        lead_id,
        occurred_on,
        known_on,
        count(*) as touches
    from agent_touches
    group by location_id, agent_id, lead_id, occurred_on, known_on

),

days_that_see_touches as (

    select
        touches_by_day.location_id,
        touches_by_day.agent_id,
        touches_by_day.lead_id,
        touches_by_day.known_on,
        touches_by_day.touches,
        cast(
            {{ dbt.dateadd(
                'day', 'cast(days_after_touch.generated_number as integer)', 'touches_by_day.occurred_on'
            ) }} as date
        ) as day
    from touches_by_day
    cross join days_after_touch

),

leads_by_day as (

    -- Known before the day begins, or the day does not see it.
    select
        location_id,
        agent_id,
        day,
        lead_id,
        sum(touches) as touches
    from days_that_see_touches
    where known_on < day
    group by location_id, agent_id, day, lead_id

),

final as (

    select
        location_id,
        agent_id,
        day,
        cast(sum(touches) as integer) as touches_7d,
        cast(count(*) as integer) as leads_7d
    from leads_by_day
    group by location_id, agent_id, day

)

select * from final
