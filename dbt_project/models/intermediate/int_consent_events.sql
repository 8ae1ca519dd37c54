{{
    config(
        materialized='incremental',
        incremental_strategy='changed_keys',
        on_schema_change='fail',
        indexes=[
            {'columns': ['evidence_key'], 'unique': true},
            {'columns': ['lead_id']},
        ],
        pre_hook="{{ find_changes([
            news_of(ref('int_contacts_surviving')),
            news_of_contacts(ref('stg_ghl__contacts')),
            news_of(ref('int_lead_addresses'), 'lead'),
            news_of(ref('int_opt_outs')),
            news_of(source('raw_twilio', 'messages'), through='
                select addresses.lead_id
                from news
                inner join ' ~ ref('int_lead_addresses') ~ ' as addresses
                    on ' ~ e164('news.key[1]') ~ ' = addresses.address
            '),
            news_of(source('raw_sendgrid', 'suppressions'), through='
                select addresses.lead_id
                from news
                inner join ' ~ ref('int_lead_addresses') ~ ' as addresses
                    on lower(trim(news.key[1])) = addresses.address
            '),
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

lead_addresses as (

    select * from {{ ref('int_lead_addresses') }}
    where {{ only_changed() }}

),

opt_outs as (

    select * from {{ ref('int_opt_outs') }}
    where {{ only_changed() }}

),

twilio_messages as (

    select * from {{ ref('stg_twilio__messages') }}

),

suppressions as (

    select * from {{ ref('stg_sendgrid__suppressions') }}

),

channels as (

    select 'sms' as channel
    union all
    select 'email' as channel
    union all
    select 'call' as channel

),

lead_contacts as (

    select
        surviving.lead_id,
        surviving.is_surviving,
        contacts.*
    from contacts
    inner join surviving
        on
            contacts.location_id = surviving.location_id
            and contacts.contact_id = surviving.contact_id

),

answers as (

    select
        lead_contacts.*,
        channels.channel,
        -- Part of the keys: a consent given anew is another piece of evidence.
        cast(coalesce({{ epoch_seconds('lead_contacts.consent_at') }}, 0) as text) as consent_version,
        case channels.channel
            when 'sms' then lead_contacts.sms_consent
            when 'email' then lead_contacts.email_consent
        end as answer
    from lead_contacts
    cross join channels

),

consent_answers as (

    /*
        A yes without its time proves nothing. It counts for the contact that gave it; a no, and
        every other withdrawal, follows the person through all of its records.
    */
    select
        'ghl:contact:' || location_id || ':' || contact_id || ':' || channel || ':' || answer
        || ':' || consent_version as evidence_key,
        lead_id,
        location_id,
        contact_id,
        channel,
        case answer when 'yes' then 'granted' else 'revoked' end as action,
        case
            when answer = 'yes' then consent_at
            else coalesce(consent_at, updated_at, created_at)
        end as occurred_at,
        known_at,
        coalesce(consent_source, 'crm') as source,
        'crm_field' as method,
        consent_text
    from answers
    where (answer = 'yes' and consent_at is not null and is_surviving) or answer = 'no'

),

do_not_disturb as (

    /*
        The CRM does not say since when. The key holds the consent that it ended, so that a new
        consent can be withdrawn in its turn.
    */
    select
        'ghl:dnd:' || location_id || ':' || contact_id || ':' || channel
        || ':' || consent_version as evidence_key,
        lead_id,
        location_id,
        contact_id,
        channel,
        'revoked' as action,
        greatest(updated_at, coalesce(consent_at, updated_at)) as occurred_at,
        known_at,
        'crm' as source,
        case when is_dnd_all then 'dnd_all' else 'dnd_channel' end as method,
        cast(null as text) as consent_text
    from answers
    where
        is_dnd_all
        or (channel = 'sms' and is_dnd_sms)
        or (channel = 'email' and is_dnd_email)
        or (channel = 'call' and is_dnd_call)

),

opt_out_messages as (

    select
        'ghl:message:' || opt_outs.location_id || ':' || opt_outs.message_id || ':' || channels.channel
            as evidence_key,
        opt_outs.lead_id,
        opt_outs.location_id,
        opt_outs.contact_id,
        channels.channel,
        'revoked' as action,
        opt_outs.created_at as occurred_at,
        opt_outs.known_at,
        'lead' as source,
        'inbound_' || opt_outs.channel as method,
        cast(null as text) as consent_text
    from opt_outs
    inner join channels
        on opt_outs.opt_out_scope = 'all' or opt_outs.channel = channels.channel
    where opt_outs.channel in ('sms', 'email')

),

opt_out_sms as (

    -- Every record with that number: the person behind it answered.
    select
        'twilio:message:' || twilio_messages.message_id || ':' || lead_addresses.record_lead_id
        || ':' || channels.channel as evidence_key,
        lead_addresses.lead_id,
        lead_addresses.location_id,
        case when lead_addresses.record_type = 'contact' then lead_addresses.record_id end as contact_id,
        channels.channel,
        'revoked' as action,
        twilio_messages.created_at as occurred_at,
        twilio_messages.known_at,
        'lead' as source,
        'inbound_sms' as method,
        cast(null as text) as consent_text
    from twilio_messages
    inner join lead_addresses
        on
            lead_addresses.channel = 'sms'
            and twilio_messages.lead_phone = lead_addresses.address
            and coalesce(twilio_messages.location_id, lead_addresses.location_id)
            = lead_addresses.location_id
    inner join channels
        on twilio_messages.opt_out_scope = 'all' or channels.channel = 'sms'
    where twilio_messages.opt_out_scope is not null

),

carrier_opt_outs as (

    -- Twilio 21610: the recipient has opted out with the carrier or with Twilio.
    select
        'twilio:error:' || twilio_messages.message_id || ':' || lead_addresses.record_lead_id || ':sms'
            as evidence_key,
        lead_addresses.lead_id,
        lead_addresses.location_id,
        case when lead_addresses.record_type = 'contact' then lead_addresses.record_id end as contact_id,
        'sms' as channel,
        'revoked' as action,
        twilio_messages.created_at as occurred_at,
        twilio_messages.known_at,
        'twilio' as source,
        'carrier_opt_out' as method,
        cast(null as text) as consent_text
    from twilio_messages
    inner join lead_addresses
        on
            lead_addresses.channel = 'sms'
            and twilio_messages.lead_phone = lead_addresses.address
            and coalesce(twilio_messages.location_id, lead_addresses.location_id)
            = lead_addresses.location_id
    where twilio_messages.error_code = '21610'

),

suppressed_emails as (

    select
        'sendgrid:' || suppressions.kind || ':' || suppressions.email || ':' || lead_addresses.record_lead_id
            as evidence_key,
        lead_addresses.lead_id,
        lead_addresses.location_id,
        case when lead_addresses.record_type = 'contact' then lead_addresses.record_id end as contact_id,
        'email' as channel,
        'revoked' as action,
        coalesce(suppressions.created_at, suppressions.known_at) as occurred_at,
        suppressions.known_at,
        'sendgrid' as source,
        'suppression_' || suppressions.kind as method,
        cast(null as text) as consent_text
    from suppressions
    inner join lead_addresses
        on
            lead_addresses.channel = 'email'
            and suppressions.email = lead_addresses.address
            and coalesce(suppressions.location_id, lead_addresses.location_id)
            = lead_addresses.location_id

),

events as (

    select * from consent_answers
    union all
    select * from do_not_disturb
    union all
    select * from opt_out_messages
    union all
    select * from opt_out_sms
    union all
    select * from carrier_opt_outs
    union all
    select * from suppressed_emails

),

final as (

    select
        evidence_key,
        lead_id,
        location_id,
        contact_id,
        channel,
        'marketing' as purpose,
        action,
        occurred_at,
        known_at,
        source,
        method,
        consent_text
    from events

)

select * from final
