{{
    config(
        materialized='incremental',
        incremental_strategy='changed_keys',
        on_schema_change='fail',
        indexes=[
            {'columns': ['record_number'], 'unique': true},
            {'columns': ['location_id', 'record_type', 'record_id'], 'unique': true},
            {'columns': ['location_id', 'record_id']},
            {'columns': ['location_id', 'email']},
            {'columns': ['location_id', 'phone']},
            {'columns': ['location_id', 'merged_into']},
        ],
        meta={
            'changed_by': ['location_id', 'record_id'],
            'noted': {
                'number': ['record_number'],
                'email': ['location_id', 'email'],
                'phone': ['location_id', 'phone'],
                'merged_into': ['location_id', 'merged_into'],
            },
        },
        pre_hook="{{ find_changes(
            [
                news_of(ref('stg_ghl__contacts')),
                news_of(ref('stg_import__leads')),
                news_of(source('raw_ghl', 'contact_tombstones')),
            ],
            '
                select location_id, contact_id from ' ~ ref('stg_ghl__contacts') ~ '
                union select location_id, contact_id from ' ~ ref('stg_ghl__contact_tombstones') ~ '
                union select location_id, external_id from ' ~ ref('stg_import__leads')
        ) }}",
        post_hook="{{ remember_changes() }}"
    )
}}

with contacts as (

    select * from {{ ref('stg_ghl__contacts') }}
    where {{ only_changed(['location_id', 'contact_id']) }}

),

imported as (

    select * from {{ ref('stg_import__leads') }}
    where {{ only_changed(['location_id', 'external_id']) }}

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
        {{ only_changed(['tombstones.location_id', 'tombstones.contact_id']) }}
        and (
            tombstones.merged_into is not null
            or tombstones.detected_at >= contacts.loaded_at
        )

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
        -- Made of the record itself, so that a new one moves no other.
        {{ ordered_number('ranked_at', ['location_id', 'record_type', 'record_id']) }} as record_number,
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
