with source as (

    {{ select_source('raw_ghl', 'transcriptions') }}

),

final as (

    select
        location_id,
        id as message_id,
        jsonb_array_length({{ json_array('sentences') }}) as sentence_count,
        transcript,
        _known_at as known_at
    from source

)

select * from final
