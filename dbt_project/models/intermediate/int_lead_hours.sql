{{ config(indexes=[{'columns': ['lead_id'], 'unique': true}]) }}

with leads as (

    select * from {{ ref('int_leads') }}

),

locations as (

    select * from {{ ref('stg_ghl__locations') }}

),

timeline as (

    select * from {{ ref('int_lead_timeline') }}

),

zones as (

    select
        leads.lead_id,
        leads.location_id,
        coalesce(leads.timezone, locations.timezone, 'UTC') as timezone
    from leads
    left join locations on leads.location_id = locations.location_id

),

inbound as (

    select
        zones.lead_id,
        zones.location_id,
        cast({{ hour_of(local_time('timeline.occurred_at', 'zones.timezone')) }} as integer) as local_hour
    from timeline
    inner join zones on timeline.lead_id = zones.lead_id
    where
        timeline.event_type = 'touch'
        and timeline.direction = 'inbound'
        and timeline.occurred_at < {{ scoring_moment() }}

),

own_hours as (

    -- Only hours at which a lead may be called or written to.
    select
        lead_id,
        location_id,
        local_hour,
        count(*) as touches
    from inbound
    where
        local_hour >= {{ var('contact_opens_hour') }} and local_hour < {{ var('contact_closes_hour') }}
    group by lead_id, location_id, local_hour

),

location_hours as (

    select
        location_id,
        local_hour,
        sum(touches) as touches,
        sum(sum(touches)) over (partition by location_id) as touches_of_location,
        row_number() over (
            partition by location_id
            order by sum(touches) desc, local_hour asc
        ) as place
    from own_hours
    group by location_id, local_hour

),

candidate_hours as (

    -- A lead's own hours and the location's best: no other can win.
    select
        lead_id,
        location_id,
        local_hour
    from own_hours
    union distinct
    select
        zones.lead_id,
        zones.location_id,
        location_hours.local_hour
    from zones
    inner join location_hours on zones.location_id = location_hours.location_id
    where location_hours.place = 1

),

weighed_hours as (

    -- The location's habits count as much as so many messages of the lead's own.
    select
        candidate_hours.lead_id,
        candidate_hours.local_hour,
        coalesce(own_hours.touches, 0) as own_touches,
        row_number() over (
            partition by candidate_hours.lead_id
            order by
                coalesce(own_hours.touches, 0)
                + {{ var('hour_prior_touches') }}
                * location_hours.touches
                / cast(location_hours.touches_of_location as double precision) desc,
                candidate_hours.local_hour asc
        ) as place
    from candidate_hours
    inner join location_hours
        on
            candidate_hours.location_id = location_hours.location_id
            and candidate_hours.local_hour = location_hours.local_hour
    left join own_hours
        on
            candidate_hours.lead_id = own_hours.lead_id
            and candidate_hours.local_hour = own_hours.local_hour

),

final as (

    select
        lead_id,
        local_hour as best_hour,
        cast(own_touches as integer) as own_touches
    from weighed_hours
    where place = 1

)

select * from final
