{{
    config(
        materialized='incremental',
        incremental_strategy='changed_keys',
        on_schema_change='fail',
        indexes=[
            {'columns': ['location_id', 'external_id'], 'unique': true},
        ],
        meta={'changed_by': ['location_id', 'external_id']},
        pre_hook="{{ find_changes(
            [news_of(source('raw_import', 'leads'))],
            'select location_id, external_id from ' ~ source_rows('raw_import', 'leads')
        ) }}",
        post_hook="{{ remember_changes() }}"
    )
}}

with source as (

    select * from {{ source_rows('raw_import', 'leads') }}
    where {{ only_changed() }}

),

newest as (

    -- A file imported again replaces its earlier rows.
    select
        *,
        min(_loaded_at) over (partition by location_id, external_id) as first_loaded_at,
        row_number() over (
            partition by location_id, external_id
            order by _loaded_at desc, import_id desc, row_number desc
        ) as version
    from source
    where external_id is not null

),

normalised as (

    select
        *,
        {{ clean_text('email') }} as clean_email,
        {{ e164('phone') }} as clean_phone
    from newest
    where version = 1

),

final as (

    select
        location_id,
        external_id,
        import_id,
        nullif(trim(first_name), '') as first_name,
        nullif(trim(last_name), '') as last_name,
        {{ given_name_key('first_name') }} as given_name_key,
        {{ name_key('last_name') }} as family_name_key,
        case when {{ is_email('clean_email') }} then clean_email end as email,
        case when {{ is_e164('clean_phone') }} then clean_phone end as phone,
        {{ is_email('clean_email') }} as is_email_valid,
        {{ is_e164('clean_phone') }} as is_phone_valid,
        {{ clean_text('source') }} as source,
        outcome as has_converted,
        created_at,
        outcome_at,
        _known_at as known_at,
        _loaded_at as loaded_at,
        first_loaded_at
    from normalised

)

select * from final
