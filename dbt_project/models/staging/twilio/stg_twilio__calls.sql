with source as (

    {{ select_source('raw_twilio', 'calls') }}

),

directed as (

    select
        *,
        case when direction = 'inbound' then 'inbound' else 'outbound' end as simple_direction
    from source

),

final as (

    select
        sid as call_id,
        location_id,
        simple_direction as direction,
        case
            when simple_direction = 'inbound' then {{ e164('from_number') }} else {{ e164('to_number') }}
        end as lead_phone,
        {{ call_seconds('duration') }} as duration_seconds,
        {{ call_outcome('status', 'coalesce(duration, 0)') }} as outcome,
        start_time as created_at,
        _known_at as known_at
    from directed

)

select * from final
