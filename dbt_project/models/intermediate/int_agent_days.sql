{{
    config(
        materialized='incremental',
        incremental_strategy='changed_keys',
        on_schema_change='fail',
        indexes=[
            {'columns': ['location_id', 'agent_id', 'day'], 'unique': true},
        ],
        meta={'changed_by': ['location_id', 'agent_id', 'day']},
        pre_hook="{{ find_changes(
            [news_of(ref('int_agent_spans'), 'days', through=days_of_spans('
                select
                    key[1] as location_id,
                    key[2] as agent_id,
                    cast(key[3] as date) as first_day,
                    cast(key[4] as date) as end_day
                from news
            '))],
            days_of_spans(ref('int_agent_spans'))
        ) }}",
        post_hook="{{ remember_changes() }}"
    )
}}

with lead_spans as (

    select spans.* from {{ ref('int_agent_spans') }} as spans
    where {{ where_changed(
        'exists (
            select from ' ~ changed_keys() ~ ' as changed
            where
                spans.location_id = changed.location_id
                and spans.agent_id = changed.agent_id
                and spans.first_day <= changed.day
                and spans.end_day > changed.day
        )'
    ) }}

),

week as (

    {{ dbt.generate_series(7) }}

),

spans as (

    select
        location_id,
        agent_id,
        first_day,
        end_day,
        lead_first_day,
        sum(touches) as touches,
        count(*) as leads
    from lead_spans
    group by location_id, agent_id, first_day, end_day, lead_first_day

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
    where seen_on < next_day and {{ only_changed(['location_id', 'agent_id', 'seen_on']) }}

)

select * from final
