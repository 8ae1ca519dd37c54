with source as (

    {{ select_source('raw_ghl', 'calendars') }}

),

final as (

    select
        location_id,
        id as calendar_id,
        name as calendar_name
    from source

)

select * from final
