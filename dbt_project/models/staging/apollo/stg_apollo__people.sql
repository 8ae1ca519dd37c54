with source as (

    {{ select_source('raw_apollo', 'people') }}

),

final as (

    select
        lower(trim(email)) as email,
        location_id,
        contact_id,
        apollo_id,
        title as job_title,
        organization_name,
        city,
        state,
        country,
        coalesce(matched, false) as is_matched,
        fetched_at,
        _known_at as known_at
    from source

)

select * from final
