{{
    config(
        materialized='incremental',
        incremental_strategy='changed_keys',
        on_schema_change='fail',
        indexes=[
            {'columns': ['source_system', 'location_id', 'channel', 'source_row_id'], 'unique': true},
            {'columns': ['lead_id']},
            {'columns': ['location_id', 'address']},
        ],
        meta={'computed_whole': true},
        pre_hook="{{ find_changes() }}",
        post_hook="{{ remember_changes() }}"
    )
}}

with twilio_messages as (

    select * from {{ ref('stg_twilio__messages') }}

),

twilio_calls as (

    select * from {{ ref('stg_twilio__calls') }}

),

email_activity as (

    select * from {{ ref('stg_sendgrid__email_activity') }}

),

sends as (

    select * from {{ ref('stg_ops__sends') }}

),

surviving as (

    select * from {{ ref('int_contacts_surviving') }}

),

lead_addresses as (

    select * from {{ ref('int_lead_addresses') }}

),

provider_rows as (

    select
        'twilio' as source_system,
        message_id as source_row_id,
        message_id as provider_message_id,
        location_id,
        'sms' as channel,
        direction,
        lead_phone as address,
        created_at as occurred_at,
        known_at,
        status as outcome,
        cast(null as integer) as duration_seconds,
        cast(null as timestamp with time zone) as engaged_at,
        false as is_clicked,
        created_at as status_changed_at
    from twilio_messages

    union all

    select
        'twilio' as source_system,
        call_id as source_row_id,
        call_id as provider_message_id,
        location_id,
        'call' as channel,
        direction,
        lead_phone as address,
        created_at as occurred_at,
        known_at,
        outcome,
        duration_seconds,
        cast(null as timestamp with time zone) as engaged_at,
        false as is_clicked,
        created_at as status_changed_at
    from twilio_calls

    union all

    select
        'sendgrid' as source_system,
        message_id as source_row_id,
        provider_message_id,
        location_id,
        'email' as channel,
        'outbound' as direction,
        lead_email as address,
        last_event_at as occurred_at,
        known_at,
        case
            when click_count > 0 then 'clicked'
            when open_count > 0 then 'opened'
            else status
        end as outcome,
        cast(null as integer) as duration_seconds,
        case when open_count + click_count > 0 then last_event_at end as engaged_at,
        click_count > 0 as is_clicked,
        last_event_at as status_changed_at
    from email_activity

),

final as (

    -- An address that several leads share counts as its owner's. Of our own messages we know
    -- whom they were for, whoever that contact has turned out to be.
    select
        coalesce(surviving.lead_id, lead_addresses.lead_id) as lead_id,
        coalesce(surviving.location_id, lead_addresses.location_id) as location_id,
        provider_rows.channel,
        provider_rows.direction,
        'api' as sent_by,
        cast(null as text) as agent_id,
        -- Of an email SendGrid tells the last event only; what we sent is known when we send it.
        coalesce(sends.sent_at, provider_rows.occurred_at) as occurred_at,
        greatest(
            coalesce(sends.sent_at, provider_rows.known_at),
            -- Null where the address was the lead's from the start; greatest passes over it.
            case
                when surviving.lead_id is not null then surviving.merge_known_at
                else lead_addresses.link_known_at
            end
        ) as known_at,
        provider_rows.outcome,
        provider_rows.duration_seconds,
        provider_rows.source_system,
        provider_rows.source_row_id,
        provider_rows.engaged_at,
        greatest(
            provider_rows.known_at,
            case
                when surviving.lead_id is not null then surviving.merge_known_at
                else lead_addresses.link_known_at
            end
        ) as engagement_known_at,
        provider_rows.is_clicked,
        provider_rows.status_changed_at,
        provider_rows.address
    from provider_rows
    left join sends
        on
            provider_rows.provider_message_id = sends.provider_message_id
            and provider_rows.source_system = sends.provider
    left join surviving
        on
            sends.location_id = surviving.location_id
            and sends.contact_id = surviving.contact_id
    left join lead_addresses
        on
            provider_rows.location_id = lead_addresses.location_id
            and provider_rows.address = lead_addresses.address
            and lead_addresses.is_owner
    where coalesce(surviving.lead_id, lead_addresses.lead_id) is not null

)

select * from final
