{{
    config(
        materialized='incremental',
        incremental_strategy='changed_keys',
        on_schema_change='fail',
        indexes=[
            {'columns': ['lead_id'], 'unique': true},
            {'columns': ['location_id', 'phone']},
            {'columns': ['email']},
        ],
        pre_hook="{{ find_changes([
            news_of(ref('int_contacts_surviving')),
            news_of(ref('int_lead_identities'), 'lead'),
            news_of_contacts(ref('stg_ghl__contacts')),
            news_of(ref('stg_import__leads'), through=leads_of_records('import')),
        ], all_leads()) }}",
        post_hook="{{ remember_changes() }}"
    )
}}

with contacts as (

    select * from {{ ref('stg_ghl__contacts') }}

),

surviving as (

    select * from {{ ref('int_contacts_surviving') }}
    where {{ only_changed() }}

),

identities as (

    select * from {{ ref('int_lead_identities') }}
    where {{ only_changed() }}

),

imported as (

    select * from {{ ref('stg_import__leads') }}

),

lead_contacts as (

    select
        contacts.*,
        surviving.lead_id,
        surviving.is_surviving,
        surviving.deleted_at,
        row_number() over (
            partition by surviving.lead_id
            order by contacts.created_at, contacts.contact_id
        ) as place
    from contacts
    inner join surviving
        on
            contacts.location_id = surviving.location_id
            and contacts.contact_id = surviving.contact_id

),

refusals as (

    -- Who asked for quiet on one record is left in peace on all of them.
    select
        lead_id,
        max(case when is_dnd_all then 1 else 0 end) = 1 as is_dnd_all,
        max(case when is_dnd_sms then 1 else 0 end) = 1 as is_dnd_sms,
        max(case when is_dnd_email then 1 else 0 end) = 1 as is_dnd_email,
        max(case when is_dnd_call then 1 else 0 end) = 1 as is_dnd_call
    from lead_contacts
    group by lead_id

),

first_records as (

    -- A lead came in with the record that it is named after.
    select
        identities.lead_id,
        coalesce(contacts.created_at, imported.created_at, imported.first_loaded_at) as created_at,
        case when contacts.contact_id is null then imported.source else contacts.source end as source
    from identities
    left join contacts
        on
            identities.record_type = 'contact'
            and identities.location_id = contacts.location_id
            and identities.record_id = contacts.contact_id
    left join imported
        on
            identities.record_type = 'import'
            and identities.location_id = imported.location_id
            and identities.record_id = imported.external_id
    where identities.tied_by is null and coalesce(contacts.contact_id, imported.external_id) is not null

),

contact_leads as (

    select
        firsts.lead_id,
        contacts.location_id,
        contacts.contact_id,
        'ghl' as origin,
        contacts.first_name,
        contacts.last_name,
        contacts.email,
        contacts.phone,
        contacts.is_email_valid,
        contacts.is_phone_valid,
        firsts.source,
        contacts.assigned_agent_id,
        contacts.timezone,
        contacts.city,
        contacts.state,
        contacts.postal_code,
        refusals.is_dnd_all,
        refusals.is_dnd_sms,
        refusals.is_dnd_email,
        refusals.is_dnd_call,
        intakes.lead_intent,
        intakes.price_min_cents,
        intakes.price_max_cents,
        intakes.beds,
        intakes.timeline,
        intakes.property_type,
        firsts.created_at,
        intakes.created_at as intake_at,
        contacts.deleted_at,
        contacts.known_at
    from first_records as firsts
    inner join lead_contacts as contacts on firsts.lead_id = contacts.lead_id and contacts.is_surviving
    -- What the lead asked for when it came in: what it says later is known only then.
    inner join lead_contacts as intakes on firsts.lead_id = intakes.lead_id and intakes.place = 1
    inner join refusals on firsts.lead_id = refusals.lead_id

),

imported_leads as (

    select
        firsts.lead_id,
        imported.location_id,
        cast(null as text) as contact_id,
        'import' as origin,
        imported.first_name,
        imported.last_name,
        imported.email,
        imported.phone,
        imported.is_email_valid,
        imported.is_phone_valid,
        firsts.source,
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
        firsts.created_at,
        firsts.created_at as intake_at,
        cast(null as timestamp with time zone) as deleted_at,
        imported.known_at
    from first_records as firsts
    inner join imported
        on firsts.lead_id = imported.location_id || ':' || imported.external_id
    left join refusals on firsts.lead_id = refusals.lead_id
    where refusals.lead_id is null

),

final as (

    select * from contact_leads

    union all

    select * from imported_leads

)

select * from final
