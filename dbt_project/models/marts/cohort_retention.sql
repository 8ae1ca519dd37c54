{{ config(indexes=[{'columns': ['location_id', 'cohort_month', 'months_since'], 'unique': true}]) }}

with leads as (

    select * from {{ ref('dim_leads') }}

),

locations as (

    select * from {{ ref('stg_ghl__locations') }}

),

timeline as (

    select * from {{ ref('int_lead_timeline') }}

),

steps as (

    -- Three years of months.
    {{ dbt.generate_series(36) }}

),

cohort_leads as (

    select
        leads.lead_id,
        leads.location_id,
        leads.created_at,
        cast(
            {{ dbt.date_trunc(
                'month', local_date('leads.created_at', "coalesce(locations.timezone, 'UTC')")
            ) }} as date
        ) as cohort_month,
        floor({{ days_between('leads.created_at', scoring_moment()) }} / 30) as months_over
    from leads
    left join locations on leads.location_id = locations.location_id
    where leads.created_at < {{ scoring_moment() }}

),

events as (

    -- Each lead has months of its own, thirty days long from the moment that it came in.
    select
        cohort_leads.lead_id,
        cohort_leads.location_id,
        cohort_leads.cohort_month,
        cohort_leads.months_over,
        floor({{ days_between('cohort_leads.created_at', 'timeline.occurred_at') }} / 30) as months_since,
        timeline.event_type != 'touch' as is_conversion
    from timeline
    inner join cohort_leads on timeline.lead_id = cohort_leads.lead_id
    where
        timeline.occurred_at >= cohort_leads.created_at
        and (
            (timeline.event_type = 'touch' and timeline.direction = 'inbound')
            or timeline.event_type in ('appointment_kept', 'opportunity_won')
        )

),

lead_months as (

    -- Only months that are over, or a young cohort would look worse than it is.
    select
        lead_id,
        location_id,
        cohort_month,
        months_since,
        max(case when is_conversion then 0 else 1 end) as engaged,
        max(case when is_conversion then 1 else 0 end) as converted
    from events
    where months_since < months_over
    group by lead_id, location_id, cohort_month, months_since

),

activity as (

    select
        location_id,
        cohort_month,
        months_since,
        sum(engaged) as leads_engaged,
        sum(converted) as leads_converted
    from lead_months
    group by location_id, cohort_month, months_since

),

first_conversions as (

    select
        lead_id,
        min(months_since) as month_of_conversion
    from lead_months
    where converted = 1
    group by lead_id

),

cohorts as (

    -- Leads that count alike at every step: as many months over, converted in the same month.
    select
        cohort_leads.location_id,
        cohort_leads.cohort_month,
        cohort_leads.months_over,
        first_conversions.month_of_conversion,
        count(*) as leads
    from cohort_leads
    left join first_conversions on cohort_leads.lead_id = first_conversions.lead_id
    group by
        cohort_leads.location_id,
        cohort_leads.cohort_month,
        cohort_leads.months_over,
        first_conversions.month_of_conversion

),

sizes as (

    select
        location_id,
        cohort_month,
        sum(leads) as leads
    from cohorts
    group by location_id, cohort_month

),

observed as (

    select
        cohorts.location_id,
        cohorts.cohort_month,
        cast(steps.generated_number as integer) - 1 as months_since,
        sum(cohorts.leads) as leads_observed,
        sum(
            case
                when cohorts.month_of_conversion <= cast(steps.generated_number as integer) - 1
                    then cohorts.leads
                else 0
            end
        ) as leads_converted_so_far
    from cohorts
    inner join steps on cohorts.months_over >= cast(steps.generated_number as integer)
    group by cohorts.location_id, cohorts.cohort_month, steps.generated_number

),

final as (

    select
        observed.location_id,
        observed.cohort_month,
        observed.months_since,
        cast(sizes.leads as integer) as leads,
        cast(observed.leads_observed as integer) as leads_observed,
        cast(coalesce(activity.leads_engaged, 0) as integer) as leads_engaged,
        cast(coalesce(activity.leads_converted, 0) as integer) as leads_converted,
        cast(observed.leads_converted_so_far as integer) as leads_converted_so_far,
        {{ fraction('coalesce(activity.leads_engaged, 0)', 'observed.leads_observed') }} as engaged_rate,
        {{ fraction('observed.leads_converted_so_far', 'observed.leads_observed') }} as conversion_rate_so_far
    from observed
    inner join sizes
        on observed.location_id = sizes.location_id and observed.cohort_month = sizes.cohort_month
    left join activity
        on
            observed.location_id = activity.location_id
            and observed.cohort_month = activity.cohort_month
            and observed.months_since = activity.months_since

)

select * from final
