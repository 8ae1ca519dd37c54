with source as (

    {{ select_source('raw_twilio', 'recordings') }}

),

final as (

    select
        sid as recording_id,
        call_sid as call_id,
        location_id,
        {{ call_seconds('duration') }} as duration_seconds,
        date_created as created_at,
        _known_at as known_at
    from source

)

select * from final
