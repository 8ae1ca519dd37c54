{#
    When an agent's touches of a lead count as their work: kept per lead, so that int_agent_days
    need not read all events again.
#}
{{
    config(
        materialized='incremental',
        incremental_strategy='changed_keys',
        on_schema_change='fail',
        indexes=[
            {'columns': ['lead_id']},
        ],
        meta={'noted': {'days': ['location_id', 'agent_id', 'first_day', 'end_day']}},
        pre_hook="{{ find_changes([news_of(ref('int_lead_timeline'))], all_leads()) }}",
        post_hook="{{ remember_changes() }}"
    )
}}

with timeline as (

    select * from {{ ref('int_lead_timeline') }}
    where {{ only_changed() }}

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
    group by location_id, agent_id, lead_id, greatest(occurred_on, known_on), occurred_on

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

final as (

    select
        location_id,
        agent_id,
        lead_id,
        first_day,
        end_day,
        greatest(first_day, coalesce(covered_until, first_day)) as lead_first_day,
        touches
    from covered

)

select * from final
