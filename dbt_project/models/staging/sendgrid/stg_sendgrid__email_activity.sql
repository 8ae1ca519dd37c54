with source as (

    {{ select_source('raw_sendgrid', 'email_activity') }}

),

final as (

    select
        msg_id as message_id,
        -- What mail send answered, with the receiving part after the first dot.
        {{ dbt.split_part('msg_id', "'.'", 1) }} as provider_message_id,
        location_id,
        send_id,
        lower(trim(to_email)) as lead_email,
        lower(status) as status,
        cast(coalesce(opens_count, 0) as integer) as open_count,
        cast(coalesce(clicks_count, 0) as integer) as click_count,
        last_event_time as last_event_at,
        _known_at as known_at
    from source

)

select * from final
