{{
    config(
        indexes=[
            {'columns': ['lead_id'], 'unique': true},
            {'columns': ['location_id', 'phone']},
            {'columns': ['email']},
        ],
        post_hook='analyze {{ this }}'
    )
}}

with contacts as (

    select * from {{ ref('stg_ghl__contacts') }}

),

surviving as (

    select * from {{ ref('int_contacts_surviving') }}

),

imported as (

    select * from {{ ref('stg_import__leads') }}

),

contact_leads as (

    select
        surviving.lead_id,
        contacts.location_id,
        contacts.contact_id,
        'ghl' as origin,
        contacts.first_name,
        contacts.last_name,
        contacts.email,
        contacts.phone,
        contacts.is_email_valid,
        contacts.is_phone_valid,
        contacts.source,
        contacts.assigned_agent_id,
        contacts.timezone,
        contacts.city,
        contacts.state,
        contacts.postal_code,
        contacts.is_dnd_all,
        contacts.is_dnd_sms,
        contacts.is_dnd_email,
        contacts.is_dnd_call,
        contacts.lead_intent,
        contacts.price_min_cents,
        contacts.price_max_cents,
        contacts.beds,
        contacts.timeline,
        contacts.property_type,
        contacts.created_at,
        surviving.deleted_at,
        contacts.known_at
    from contacts
    inner join surviving
        on
            contacts.location_id = surviving.location_id
            and contacts.contact_id = surviving.contact_id
    where surviving.is_surviving

),

imported_leads as (

    -- An import that names a contact of the CRM adds its outcome to that lead, and no lead.
    select
        imported.location_id || ':' || imported.external_id as lead_id,
        imported.location_id,
        cast(null as text) as contact_id,
        'import' as origin,
        imported.first_name,
        imported.last_name,
        imported.email,
        imported.phone,
        imported.is_email_valid,
        imported.is_phone_valid,
        imported.source,
        cast(null as text) as assigned_agent_id,
        cast(null as text) as timezone,
        cast(null as text) as city,
        cast(null as text) as state,
        cast(null as text) as postal_code,
        false as is_dnd_all,
        false as is_dnd_sms,
        false as is_dnd_email,
        false as is_dnd_call,
        cast(null as text) as lead_intent,
        cast(null as bigint) as price_min_cents,
        cast(null as bigint) as price_max_cents,
        cast(null as integer) as beds,
        cast(null as text) as timeline,
        cast(null as text) as property_type,
        coalesce(imported.created_at, imported.loaded_at) as created_at,
        cast(null as timestamp with time zone) as deleted_at,
        imported.known_at
    from imported
    left join surviving
        on
            imported.location_id = surviving.location_id
            and imported.external_id = surviving.contact_id
    where surviving.contact_id is null

),

final as (

    select * from contact_leads

    union all

    select * from imported_leads

)

select * from final
