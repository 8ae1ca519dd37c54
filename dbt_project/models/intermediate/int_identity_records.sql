{{
    config(
        indexes=[
            {'columns': ['record_number'], 'unique': true},
            {'columns': ['location_id', 'record_type', 'record_id'], 'unique': true},
        ]
    )
}}

with contacts as (

    select * from {{ ref('stg_ghl__contacts') }}

),

imported as (

    select * from {{ ref('stg_import__leads') }}

),

tombstones as (

    -- A contact loaded after it was found missing was restored.
    select tombstones.*
    from {{ ref('stg_ghl__contact_tombstones') }} as tombstones
    left join contacts
        on
            tombstones.location_id = contacts.location_id
            and tombstones.contact_id = contacts.contact_id
    where
        tombstones.merged_into is not null
        or tombstones.detected_at >= contacts.loaded_at

),

records as (

    select
        contacts.location_id,
        'contact' as record_type,
        contacts.contact_id as record_id,
        contacts.email,
        contacts.phone,
        contacts.given_name_key,
        contacts.family_name_key,
        contacts.created_at,
        contacts.created_at as ranked_at,
        contacts.known_at,
        tombstones.merged_into,
        tombstones.detected_at as gone_at
    from contacts
    left join tombstones
        on
            contacts.location_id = tombstones.location_id
            and contacts.contact_id = tombstones.contact_id

    union all

    -- Merged before we could read it: all that we have is where its history belongs.
    select
        tombstones.location_id,
        'contact' as record_type,
        tombstones.contact_id as record_id,
        cast(null as text) as email,
        cast(null as text) as phone,
        cast(null as text) as given_name_key,
        cast(null as text) as family_name_key,
        cast(null as timestamp with time zone) as created_at,
        cast(null as timestamp with time zone) as ranked_at,
        tombstones.detected_at as known_at,
        tombstones.merged_into,
        tombstones.detected_at as gone_at
    from tombstones
    left join contacts
        on
            tombstones.location_id = contacts.location_id
            and tombstones.contact_id = contacts.contact_id
    where contacts.contact_id is null

    union all

    select
        location_id,
        'import' as record_type,
        external_id as record_id,
        email,
        phone,
        given_name_key,
        family_name_key,
        coalesce(created_at, first_loaded_at) as created_at,
        -- A file of old leads must not rename the leads that are here already.
        first_loaded_at as ranked_at,
        known_at,
        cast(null as text) as merged_into,
        cast(null as timestamp with time zone) as gone_at
    from imported

),

final as (

    select
        row_number() over (
            order by
                case when ranked_at is null then 1 else 0 end,
                ranked_at,
                location_id,
                record_type,
                record_id
        ) as record_number,
        location_id,
        record_type,
        record_id,
        email,
        phone,
        given_name_key,
        family_name_key,
        created_at,
        known_at,
        merged_into,
        gone_at
    from records

)

select * from final
