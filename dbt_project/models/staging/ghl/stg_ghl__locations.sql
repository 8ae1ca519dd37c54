{{ config(materialized='table', indexes=[{'columns': ['location_id'], 'unique': true}]) }}

with source as (

    {{ select_source('raw_ghl', 'locations') }}

),

known_timezones as (

    select name from pg_timezone_names

),

final as (

    select
        source.id as location_id,
        source.name as location_name,
        coalesce(known_timezones.name, 'UTC') as timezone,
        upper(source.country) as country
    from source
    left join known_timezones on source.timezone = known_timezones.name

)

select * from final
