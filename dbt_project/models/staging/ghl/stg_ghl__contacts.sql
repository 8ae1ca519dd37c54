{{
    config(
        materialized='incremental',
        incremental_strategy='changed_keys',
        on_schema_change='fail',
        indexes=[
            {'columns': ['location_id', 'contact_id'], 'unique': true},
            {'columns': ['location_id', 'phone']},
            {'columns': ['email']},
        ],
        meta={'changed_by': ['location_id', 'contact_id']},
        pre_hook="{{ find_changes(
            [news_of(source('raw_ghl', 'contacts'))],
            'select location_id, id from ' ~ source_rows('raw_ghl', 'contacts'),
            also=rows_digest(source_rows('raw_ghl', 'custom_fields'))
        ) }}",
        post_hook="{{ remember_changes() }}"
    )
}}

with contacts as (

    select * from {{ source_rows('raw_ghl', 'contacts') }}
    where {{ only_changed(['location_id', 'id']) }}

),

custom_fields as (

    {{ select_source('raw_ghl', 'custom_fields') }}

),

known_timezones as (

    select name from pg_timezone_names

),

field_values as (

    select
        contacts.location_id,
        contacts.id as contact_id,
        custom_fields.field_key,
        nullif(trim(coalesce(item.entry ->> 'value', item.entry ->> 'fieldValue')), '') as value
    from contacts
    cross join lateral jsonb_array_elements({{ json_array('contacts.custom_fields') }}) as item (entry)
    inner join custom_fields
        on
            contacts.location_id = custom_fields.location_id
            and item.entry ->> 'id' = custom_fields.id

),

fields as (

    select
        location_id,
        contact_id,
        max(case when field_key = 'contact.sms_consent' then lower(value) end) as sms_consent,
        max(case when field_key = 'contact.email_consent' then lower(value) end) as email_consent,
        max(case when field_key = 'contact.consent_at' then value end) as consent_at,
        max(case when field_key = 'contact.consent_source' then value end) as consent_source,
        max(case when field_key = 'contact.consent_text' then value end) as consent_text,
        max(case when field_key = 'contact.price_min' then value end) as price_min,
        max(case when field_key = 'contact.price_max' then value end) as price_max,
        max(case when field_key = 'contact.beds' then value end) as beds,
        max(case when field_key = 'contact.timeline' then lower(value) end) as timeline,
        max(case when field_key = 'contact.property_type' then lower(value) end) as property_type,
        max(case when field_key = 'contact.lead_intent' then lower(value) end) as lead_intent
    from field_values
    group by location_id, contact_id

),

-- Materialized, or each of these is worked out anew for every mention of it.
plain as materialized (

    select
        *,
        {{ clean_text('email') }} as clean_email,
        {{ phone_digits('phone') }} as phone_digits,
        {{ plain_name('first_name') }} as plain_first_name,
        {{ plain_name('last_name') }} as plain_last_name,
        upper(nullif(trim(state), '')) as clean_state
    from contacts

),

normalised as materialized (

    select
        *,
        {{ is_email('clean_email') }} as is_email_valid,
        {{ e164('phone', 'phone_digits') }} as clean_phone
    from plain

),

final as (

    select
        normalised.location_id,
        normalised.id as contact_id,
        nullif(trim(normalised.first_name), '') as first_name,
        nullif(trim(normalised.last_name), '') as last_name,
        {{ given_name_key('normalised.first_name', 'normalised.plain_first_name') }} as given_name_key,
        {{ name_key('normalised.last_name', 'normalised.plain_last_name') }} as family_name_key,
        case when normalised.is_email_valid then normalised.clean_email end as email,
        case when {{ is_e164('normalised.clean_phone') }} then normalised.clean_phone end as phone,
        normalised.is_email_valid,
        {{ is_e164('normalised.clean_phone') }} as is_phone_valid,
        {{ clean_text('normalised.type') }} as contact_type,
        {{ clean_text('normalised.source') }} as source,
        normalised.assigned_to as assigned_agent_id,
        nullif(trim(normalised.city), '') as city,
        normalised.clean_state as state,
        nullif(trim(normalised.postal_code), '') as postal_code,
        upper(nullif(trim(normalised.country), '')) as country,
        known_timezones.name as timezone,
        coalesce(normalised.dnd, false)
        or coalesce(normalised.inbound_dnd_settings -> 'all' ->> 'status' = 'active', false)
            as is_dnd_all,
        coalesce(normalised.dnd_settings -> 'SMS' ->> 'status' in ('active', 'permanent'), false)
            as is_dnd_sms,
        coalesce(normalised.dnd_settings -> 'Email' ->> 'status' in ('active', 'permanent'), false)
            as is_dnd_email,
        coalesce(normalised.dnd_settings -> 'Call' ->> 'status' in ('active', 'permanent'), false)
            as is_dnd_call,
        fields.sms_consent,
        fields.email_consent,
        {{ moment('fields.consent_at') }} as consent_at,
        fields.consent_source,
        fields.consent_text,
        {{ cents('fields.price_min') }} as price_min_cents,
        {{ cents('fields.price_max') }} as price_max_cents,
        {{ small_number('fields.beds') }} as beds,
        fields.timeline,
        fields.property_type,
        fields.lead_intent,
        normalised.date_added as created_at,
        normalised.date_updated as updated_at,
        normalised._loaded_at as loaded_at,
        normalised._known_at as known_at,
        normalised._backfill as is_backfill
    from normalised
    left join fields
        on normalised.location_id = fields.location_id and normalised.id = fields.contact_id
    left join known_timezones on normalised.timezone = known_timezones.name

)

select * from final
