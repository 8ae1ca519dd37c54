{{
    config(
        materialized='incremental',
        incremental_strategy='changed_keys',
        on_schema_change='fail',
        indexes=[
            {'columns': ['location_id', 'contact_id'], 'unique': true},
        ],
        meta={'changed_by': ['location_id', 'contact_id']},
        pre_hook="{{ find_changes(
            [news_of(ref('stg_ghl__contacts')), news_of(ref('stg_ghl__contact_tags'))],
            'select location_id, contact_id from ' ~ ref('stg_ghl__contacts')
        ) }}",
        post_hook="{{ remember_changes() }}"
    )
}}

with contacts as (

    select * from {{ ref('stg_ghl__contacts') }}
    where {{ only_changed() }}

),

contact_tags as (

    select * from {{ ref('stg_ghl__contact_tags') }}
    where {{ only_changed() }}

),

tag_lists as (

    select
        location_id,
        contact_id,
        {{ dbt.listagg('tag', line_break(), 'order by tag') }} as tags
    from contact_tags
    group by location_id, contact_id

),

final as (

    select
        contacts.location_id,
        contacts.contact_id,
        tag_lists.tags,
        contacts.assigned_agent_id,
        contacts.is_dnd_all,
        contacts.is_dnd_sms,
        contacts.is_dnd_email,
        contacts.is_dnd_call,
        contacts.updated_at,
        contacts.known_at
    from contacts
    left join tag_lists
        on
            contacts.location_id = tag_lists.location_id
            and contacts.contact_id = tag_lists.contact_id

)

select * from final
