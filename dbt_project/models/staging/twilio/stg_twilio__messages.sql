with source as (

    {{ select_source('raw_twilio', 'messages') }}

),

directed as (

    select
        *,
        case when direction = 'inbound' then 'inbound' else 'outbound' end as simple_direction
    from source

),

final as (

    select
        sid as message_id,
        location_id,
        simple_direction as direction,
        case
            when simple_direction = 'inbound' then {{ e164('from_number') }} else {{ e164('to_number') }}
        end as lead_phone,
        lower(status) as status,
        nullif(error_code, '') as error_code,
        case when simple_direction = 'inbound' then {{ opt_out_scope('body') }} end as opt_out_scope,
        coalesce(date_sent, date_created) as created_at,
        _known_at as known_at,
        _backfill as is_backfill
    from directed

)

select * from final
