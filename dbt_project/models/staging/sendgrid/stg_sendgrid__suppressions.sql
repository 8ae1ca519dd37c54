with source as (

    {{ select_source('raw_sendgrid', 'suppressions') }}

),

final as (

    select
        kind,
        lower(trim(email)) as email,
        location_id,
        reason,
        created_at,
        _known_at as known_at
    from source

)

select * from final
