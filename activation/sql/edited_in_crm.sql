-- Contacts in which a load after our last write found one of our fields holding something else.
with ours as (
    select
        writes.location_id,
        writes.contact_id,
        definitions.id as field_id,
        fields.value as written
    from ops.crm_writes as writes
    inner join raw_ghl.contacts as contacts
        on writes.location_id = contacts.location_id and writes.contact_id = contacts.id
    cross join lateral jsonb_each_text(writes.fields) as fields (name, value)
    inner join
        jsonb_to_recordset(%(fields)s::jsonb) as keys (name text, field_key text)
        on fields.name = keys.name
    inner join raw_ghl.custom_fields as definitions
        on writes.location_id = definitions.location_id and keys.field_key = definitions.field_key
    where
        contacts._loaded_at > writes.written_at
        and writes.status in ('written', 'tags_pending')
)

select distinct
    ours.location_id,
    ours.contact_id
from ours
inner join raw_ghl.contacts as contacts
    on ours.location_id = contacts.location_id and ours.contact_id = contacts.id
left join lateral (
    select coalesce(entry ->> 'value', entry ->> 'fieldValue') as value
    from jsonb_array_elements(
        case when jsonb_typeof(contacts.custom_fields) = 'array' then contacts.custom_fields else '[]' end
    ) as entry
    where entry ->> 'id' = ours.field_id
    limit 1
) as held on true
where regexp_replace(trim(coalesce(held.value, '')), '^(-?\d+)\.0+$', '\1') != trim(ours.written)
