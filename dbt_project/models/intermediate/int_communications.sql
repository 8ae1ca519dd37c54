{{
    config(
        materialized='incremental',
        incremental_strategy='changed_rows',
        on_schema_change='sync_all_columns',
        indexes=[{'columns': ['lead_id', 'channel', 'direction', 'occurred_at']}]
    )
}}

with messages as (

    select * from {{ ref('stg_ghl__messages') }}

),

surviving as (

    select * from {{ ref('int_contacts_surviving') }}

),

lead_addresses as (

    select * from {{ ref('int_lead_addresses') }}

),

twilio_messages as (

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

ghl_touches as (

    select
        surviving.lead_id,
        messages.location_id,
        messages.channel,
        messages.direction,
        messages.sent_by,
        messages.agent_id,
        messages.created_at as occurred_at,
        /*
            The CRM itself sends what goes out, so it knows of it at once. The row's clock moves
            when the lead opens the email; going by it would hide, until then, just those emails
            that get opened.
        */
        greatest(
            case
                when messages.direction = 'outbound' and messages.outcome in ('opened', 'clicked')
                    then messages.created_at
                else messages.known_at
            end,
            coalesce(surviving.merge_known_at, messages.created_at)
        ) as known_at,
        messages.outcome,
        messages.duration_seconds,
        'ghl' as source_system,
        messages.message_id as source_row_id,
        case when messages.outcome in ('opened', 'clicked') then messages.updated_at end as engaged_at,
        greatest(
            messages.known_at, coalesce(surviving.merge_known_at, messages.known_at)
        ) as engagement_known_at,
        messages.outcome = 'clicked' as is_clicked,
        messages.updated_at as status_changed_at
    from messages
    inner join surviving
        on
            messages.location_id = surviving.location_id
            and messages.contact_id = surviving.contact_id
    where messages.channel is not null

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

provider_touches as (

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

),

told_by_crm as (

    -- A number or sender that the CRM uses too shows the same touch in both systems, and there
    -- perhaps with another lead of that address.
    select distinct
        provider_touches.source_system,
        provider_touches.source_row_id
    from provider_touches
    inner join lead_addresses
        on
            provider_touches.location_id = lead_addresses.location_id
            and provider_touches.address = lead_addresses.address
    inner join ghl_touches
        on
            lead_addresses.lead_id = ghl_touches.lead_id
            and provider_touches.channel = ghl_touches.channel
            and provider_touches.direction = ghl_touches.direction
            and {{ dbt.dateadd('second', -60, 'provider_touches.occurred_at') }} <= ghl_touches.occurred_at
            and {{ dbt.dateadd('second', 60, 'provider_touches.occurred_at') }} >= ghl_touches.occurred_at

),

touches as (

    select * from ghl_touches

    union all

    select
        provider_touches.lead_id,
        provider_touches.location_id,
        provider_touches.channel,
        provider_touches.direction,
        provider_touches.sent_by,
        provider_touches.agent_id,
        provider_touches.occurred_at,
        provider_touches.known_at,
        provider_touches.outcome,
        provider_touches.duration_seconds,
        provider_touches.source_system,
        provider_touches.source_row_id,
        provider_touches.engaged_at,
        provider_touches.engagement_known_at,
        provider_touches.is_clicked,
        provider_touches.status_changed_at
    from provider_touches
    left join told_by_crm
        on
            provider_touches.source_system = told_by_crm.source_system
            and provider_touches.source_row_id = told_by_crm.source_row_id
    where told_by_crm.source_row_id is null

),

final as (

    select
        *,
        case
            when direction = 'inbound' then 'lead'
            when agent_id is not null and coalesce(sent_by, 'app') = 'app' then 'agent'
            else 'automation'
        end as actor
    from touches

)

select * from final
