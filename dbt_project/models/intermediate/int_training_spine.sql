{{
    config(
        materialized='incremental',
        incremental_strategy='changed_keys',
        on_schema_change='fail',
        indexes=[
            {'columns': ['lead_id', 'as_of'], 'unique': true},
        ],
        pre_hook="{{ find_changes(
            [
                news_of(ref('int_leads')),
                news_of(ref('int_lead_status')),
                news_of(ref('int_lead_timeline')),
                news_of(ref('int_shared_people')),
            ],
            all_leads(),
            more=[leads_with_a_further_point()]
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

timeline as (

    select * from {{ ref('int_lead_timeline') }}
    where {{ only_changed() }}

),

series as (

    {{ dbt.generate_series(var('spine_max_points')) }}

),

steps as (

    -- Distinct, so that the numbers are worked out once and not for each lead.
    select distinct cast(generated_number as integer) as number
    from series

),

leads_until_now as (

    -- One step more than there are whole ones: what is over is told exactly below.
    select
        *,
        2 + floor(
            ({{ seconds_between('created_at', scoring_moment()) }} - {{ (1 + var('label_days')) * 86400 }})
            / cast({{ var('spine_step_days') * 86400 }} as double precision)
        ) as last_step
    from leads

),

points as (

    select
        leads.lead_id,
        leads.location_id,
        leads.deleted_at,
        {{ dbt.dateadd(
            'hour',
            '24 + (steps.number - 1) * 24 * ' ~ var('spine_step_days'),
            'leads.created_at'
        ) }} as as_of
    from leads_until_now as leads
    inner join steps on leads.last_step >= steps.number

),

shared_people as (

    select * from {{ ref('int_shared_people') }}

),

open_points as (

    /*
        Still open at that moment, its label window is over, and nothing cut the window short: of a
        lead that was deleted within it nobody knows what would have come of it, so such a moment
        is left out whatever had come before. What was merged goes on with the lead that it was
        merged into.
    */
    select
        points.lead_id,
        points.location_id,
        coalesce(shared_people.split_group, points.lead_id) as split_group,
        points.as_of,
        {{ days_after(var('label_days'), 'points.as_of') }} as label_until
    from points
    inner join lead_status on points.lead_id = lead_status.lead_id
    left join shared_people on points.lead_id = shared_people.lead_id
    where
        (lead_status.closed_at is null or lead_status.closed_at >= points.as_of)
        and (
            points.deleted_at is null
            or points.deleted_at >= {{ days_after(var('label_days'), 'points.as_of') }}
        )
        and {{ days_after(var('label_days'), 'points.as_of') }} <= {{ scoring_moment() }}

),

conversions as (

    select
        lead_id,
        occurred_at
    from timeline
    where event_type in ('appointment_kept', 'opportunity_won')

),

converted as (

    -- Judged by when it happened; the day that we learned of it is the features' concern.
    select distinct
        open_points.lead_id,
        open_points.as_of
    from open_points
    inner join conversions
        on
            open_points.lead_id = conversions.lead_id
            and open_points.as_of <= conversions.occurred_at
            and open_points.label_until > conversions.occurred_at

),

final as (

    select
        open_points.lead_id,
        open_points.location_id,
        open_points.split_group,
        open_points.as_of,
        case when converted.lead_id is not null then 1 else 0 end as label
    from open_points
    left join converted
        on
            open_points.lead_id = converted.lead_id
            and open_points.as_of = converted.as_of

)

select * from final
