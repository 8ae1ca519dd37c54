{{
    config(
        indexes=[{'columns': ['lead_id', 'as_of'], 'unique': true}],
        post_hook='analyze {{ this }}'
    )
}}

with leads as (

    select * from {{ ref('int_leads') }}

),

lead_status as (

    select * from {{ ref('int_lead_status') }}

),

timeline as (

    select * from {{ ref('int_lead_timeline') }}

),

steps as (

    {{ dbt.generate_series(var('spine_max_points')) }}

),

points as (

    select
        leads.lead_id,
        leads.location_id,
        leads.deleted_at,
        {{ dbt.dateadd(
            'hour',
            '24 + (cast(steps.generated_number as integer) - 1) * 24 * ' ~ var('spine_step_days'),
            'leads.created_at'
        ) }} as as_of
    from leads
    cross join steps

),

shared_addresses as (

    select phone as address
    from leads
    where phone is not null
    group by phone
    having count(*) > 1

    union all

    select email as address
    from leads
    where email is not null
    group by email
    having count(*) > 1

),

leads_sharing as (

    select
        lead_id,
        lead_id as grouped_0,
        coalesce(phone, lead_id) as phone,
        coalesce(email, lead_id) as email
    from leads
    where
        phone in (select address from shared_addresses)
        or email in (select address from shared_addresses)

),

{#
    A person may be a lead of several locations. Each pass hands the least id on to who shares a
    phone, then to who shares an email: three of them tie chains of seven leads.
#}
{%- for round in range(3) %}
grouped_by_phone_{{ round }} as (

    select
        lead_id,
        phone,
        email,
        min(grouped_{{ round }}) over (partition by phone) as grouped_by_phone
    from leads_sharing{{ '_' ~ round if round }}

),

leads_sharing_{{ round + 1 }} as (

    select
        lead_id,
        phone,
        email,
        min(grouped_by_phone) over (partition by email) as grouped_{{ round + 1 }}
    from grouped_by_phone_{{ round }}

),
{% endfor %}
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
        coalesce(leads_sharing_3.grouped_3, points.lead_id) as split_group,
        points.as_of,
        {{ days_after(var('label_days'), 'points.as_of') }} as label_until
    from points
    inner join lead_status on points.lead_id = lead_status.lead_id
    left join leads_sharing_3 on points.lead_id = leads_sharing_3.lead_id
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

final as (

    -- Judged by when it happened; the day that we learned of it is the features' concern.
    select
        open_points.lead_id,
        open_points.location_id,
        open_points.split_group,
        open_points.as_of,
        case when count(conversions.occurred_at) > 0 then 1 else 0 end as label
    from open_points
    left join conversions
        on
            open_points.lead_id = conversions.lead_id
            and open_points.as_of <= conversions.occurred_at
            and open_points.label_until > conversions.occurred_at
    group by open_points.lead_id, open_points.location_id, open_points.split_group, open_points.as_of

)

select * from final
