{{ config(indexes=[{'columns': ['location_id', 'agent_id', 'day'], 'unique': true}]) }}

with timeline as (

    select * from {{ ref('int_lead_timeline') }}

),

week as (

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

    /*
        The days that see a touch: from the one after it happened and was known, for as long as it
        is no more than seven days back. The end is not included.
    */
    select
        location_id,
        agent_id,
        lead_id,
        cast({{ dbt.dateadd('day', 1, 'greatest(occurred_on, known_on)') }} as date) as first_day,
        cast({{ dbt.dateadd('day', 8, 'occurred_on') }} as date) as end_day,
        count(*) as touches
    from agent_touches
    where known_on < {{ dbt.dateadd('day', 7, 'occurred_on') }}
    group by location_id, agent_id, lead_id, occurred_on, known_on

),

covered as (

    -- Until when earlier touches of the same lead count already: a lead counts once a day.
    select
        *,
        max(end_day) over (
            partition by location_id, agent_id, lead_id
            order by first_day, end_day
            rows between unbounded preceding and 1 preceding
        ) as covered_until
    from touches_by_day

),

spans as (

    select
        location_id,
        agent_id,
        first_day,
        end_day,
        greatest(first_day, coalesce(covered_until, first_day)) as lead_first_day,
        sum(touches) as touches,
        count(*) as leads
    from covered
    group by
        location_id, agent_id, first_day, end_day,
        greatest(first_day, coalesce(covered_until, first_day))

),

changes as (

    select
        location_id,
        agent_id,
        first_day as day,
        touches as touches_change,
        0 as leads_change
    from spans

    union all

    select
        location_id,
        agent_id,
        lead_first_day as day,
        0 as touches_change,
        leads as leads_change
    from spans
    where lead_first_day < end_day

    union all

    select
        location_id,
        agent_id,
        end_day as day,
        -touches as touches_change,
        case when lead_first_day < end_day then -leads else 0 end as leads_change
    from spans

),

changes_by_day as (

    select
        location_id,
        agent_id,
        day,
        sum(touches_change) as touches_change,
        sum(leads_change) as leads_change
    from changes
    group by location_id, agent_id, day

),

levels as (

    select
        location_id,
        agent_id,
        day,
        sum(touches_change) over agent_until_day as touches_7d,
        sum(leads_change) over agent_until_day as leads_7d,
        lead(day) over (partition by location_id, agent_id order by day) as next_day
    from changes_by_day
    window agent_until_day as (
        partition by location_id, agent_id
        order by day
        rows between unbounded preceding and current row
    )

),

days as (

    -- A level other than none changes within the week: the touches that make it up leave the window.
    select
        levels.*,
        cast(
            {{ dbt.dateadd('day', 'cast(week.generated_number as integer) - 1', 'levels.day') }} as date
        ) as seen_on
    from levels
    cross join week
    where levels.touches_7d > 0

),

final as (

    select
        location_id,
        agent_id,
        seen_on as day,
        cast(touches_7d as integer) as touches_7d,
        cast(leads_7d as integer) as leads_7d
    from days
    where seen_on < next_day

)

select * from final
