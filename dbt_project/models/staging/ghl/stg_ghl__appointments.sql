with source as (

    {{ select_source('raw_ghl', 'appointments') }}

),

final as (

    select
        location_id,
        id as appointment_id,
        calendar_id,
        contact_id,
        assigned_user_id as agent_id,
        case lower(replace(replace(appointment_status, '-', ''), '_', ''))
            when 'new' then 'booked'
            when 'booked' then 'booked'
            when 'confirmed' then 'booked'
            when 'showed' then 'kept'
            when 'completed' then 'kept'
            when 'noshow' then 'no_show'
            when 'cancelled' then 'cancelled'
            when 'canceled' then 'cancelled'
            when 'invalid' then 'cancelled'
            else 'booked'
        end as status,
        appointment_status as provider_status,
        start_time as starts_at,
        end_time as ends_at,
        coalesce(date_added, start_time) as booked_at,
        coalesce(date_updated, date_added, start_time) as updated_at,
        _known_at as known_at,
        _backfill as is_backfill
    from source

)

select * from final
