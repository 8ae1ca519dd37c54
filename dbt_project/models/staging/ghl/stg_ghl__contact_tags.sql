{{
    config(
        materialized='incremental',
        incremental_strategy='changed_keys',
        on_schema_change='fail',
        indexes=[
            {'columns': ['location_id', 'contact_id', 'tag'], 'unique': true},
        ],
        meta={'changed_by': ['location_id', 'contact_id']},
        pre_hook="{{ find_changes(
            [news_of(source('raw_ghl', 'contacts'))],
            'select location_id, id from ' ~ source_rows('raw_ghl', 'contacts')
        ) }}",
        post_hook="{{ remember_changes() }}"
    )
}}

with contacts as (

    select * from {{ source_rows('raw_ghl', 'contacts') }}
    where {{ only_changed(['location_id', 'id']) }}

),

final as (

    select distinct
        contacts.location_id,
        contacts.id as contact_id,
        lower(trim(item.tag)) as tag
    from contacts
    cross join lateral jsonb_array_elements_text({{ json_array('contacts.tags') }}) as item (tag)
    where trim(item.tag) != ''

)

select * from final
