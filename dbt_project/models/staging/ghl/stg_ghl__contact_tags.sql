with contacts as (

    {{ select_source('raw_ghl', 'contacts') }}

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
