{#
    Open leads, each with the moment that its features are for. Of whom something was learnt lately,
    every hour counts: that is the moment of the run. For the others it is the start of its UTC day,
    so that their features are computed once a day.
#}
{{
    config(
        materialized='incremental',
        incremental_strategy='changed_keys',
        on_schema_change='fail',
        indexes=[
            {'columns': ['lead_id'], 'unique': true},
        ],
        pre_hook="{{ find_changes(
            [
                news_of(ref('int_leads')),
                news_of(ref('int_lead_status')),
                news_of(ref('int_feature_events')),
            ],
            all_leads(),
            more=[leads_that_time_changes()]
        ) }}",
        post_hook="{{ remember_changes() }}"
    )
}}

with leads as (

    select * from {{ ref('int_leads') }}
    where {{ only_changed() }}

),

lead_status as (

    select * from {{ ref('int_lead_status') }}
    where {{ only_changed() }}

),

feature_events as (

    select
        lead_id,
        greatest(occurred_at, known_at) as seen_from
    from {{ ref('int_feature_events') }}
    where {{ only_changed() }}

),

learnt as (

    select
        lead_id,
        max(case when seen_from < {{ scoring_moment() }} then seen_from end) as last_learnt_at,
        min(case when seen_from >= {{ scoring_moment() }} then seen_from end) as next_learnt_at
    from feature_events
    group by lead_id

),

final as (

    select
        leads.lead_id,
        leads.location_id,
        case
            when
                greatest(leads.created_at, learnt.last_learnt_at)
                >= {{ days_before(var('lively_days'), scoring_moment()) }}
                then {{ scoring_moment() }}
            else {{ start_of_day(scoring_moment()) }}
        end as as_of,
        learnt.next_learnt_at
    from leads
    inner join lead_status on leads.lead_id = lead_status.lead_id
    left join learnt on leads.lead_id = learnt.lead_id
    where lead_status.is_open and leads.created_at < {{ scoring_moment() }}

)

select * from final
