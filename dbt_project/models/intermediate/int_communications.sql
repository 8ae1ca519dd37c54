{{
    config(
        indexes=[{'columns': ['lead_id', 'channel', 'direction', 'occurred_at']}],
        post_hook='analyze {{ this }}'
    )
}}

with messages as (

    select * from {{ ref('stg_ghl__messages') }}

),

surviving as (

    select * from {{ ref('int_contacts_surviving') }}

),

leads as (

    select * from {{ ref('int_leads') }}

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
        messages.outcome = 'clicked' as is_clicked
    from messages
    inner join surviving
        on
            messages.location_id = surviving.location_id
            and messages.contact_id = surviving.contact_id
    where messages.channel is not null

),

lead_phones as (

    -- A number shared by several leads is the newest one's.
    select
        location_id,
        phone,
        lead_id,
        row_number() over (
            partition by location_id, phone order by created_at desc, lead_id desc
        ) as place
    from leads
    where phone is not null

),

twilio_rows as (

    select
        message_id as source_row_id,
        location_id,
        'sms' as channel,
        direction,
        lead_phone,
        created_at,
        known_at,
        status as outcome,
        cast(null as integer) as duration_seconds
    from twilio_messages

    union all

    select
        call_id as source_row_id,
        location_id,
        'call' as channel,
        direction,
        lead_phone,
        created_at,
        known_at,
        outcome,
        duration_seconds
    from twilio_calls

),

twilio_touches as (

    select
        coalesce(sends.lead_id, lead_phones.lead_id) as lead_id,
        coalesce(sends.location_id, lead_phones.location_id) as location_id,
        twilio_rows.channel,
        twilio_rows.direction,
        'api' as sent_by,
        cast(null as text) as agent_id,
        twilio_rows.created_at as occurred_at,
        twilio_rows.known_at,
        twilio_rows.outcome,
        twilio_rows.duration_seconds,
        'twilio' as source_system,
        twilio_rows.source_row_id,
        cast(null as timestamp with time zone) as engaged_at,
        cast(null as timestamp with time zone) as engagement_known_at,
        false as is_clicked
    from twilio_rows
    left join sends
        on twilio_rows.source_row_id = sends.provider_message_id and sends.provider = 'twilio'
    left join lead_phones
        on
            twilio_rows.lead_phone = lead_phones.phone
            and twilio_rows.location_id = lead_phones.location_id
            and lead_phones.place = 1
    where coalesce(sends.lead_id, lead_phones.lead_id) is not null

),

lead_emails as (

    select
        location_id,
        email,
        lead_id,
        row_number() over (
            partition by location_id, email order by created_at desc, lead_id desc
        ) as place
    from leads
    where email is not null

),

sendgrid_touches as (

    select
        coalesce(sends.lead_id, lead_emails.lead_id) as lead_id,
        coalesce(sends.location_id, lead_emails.location_id) as location_id,
        'email' as channel,
        'outbound' as direction,
        'api' as sent_by,
        cast(null as text) as agent_id,
        coalesce(sends.sent_at, email_activity.last_event_at) as occurred_at,
        -- Our own sends are known to us from the moment they leave.
        coalesce(sends.sent_at, email_activity.known_at) as known_at,
        case
            when email_activity.click_count > 0 then 'clicked'
            when email_activity.open_count > 0 then 'opened'
            else email_activity.status
        end as outcome,
        cast(null as integer) as duration_seconds,
        'sendgrid' as source_system,
        email_activity.message_id as source_row_id,
        case
            when email_activity.open_count + email_activity.click_count > 0
                then email_activity.last_event_at
        end as engaged_at,
        email_activity.known_at as engagement_known_at,
        email_activity.click_count > 0 as is_clicked
    from email_activity
    left join sends on email_activity.send_id = sends.send_id
    left join lead_emails
        on
            email_activity.lead_email = lead_emails.email
            and email_activity.location_id = lead_emails.location_id
            and lead_emails.place = 1
    where coalesce(sends.lead_id, lead_emails.lead_id) is not null

),

provider_touches as (

    select * from twilio_touches

    union all

    select * from sendgrid_touches

),

told_by_crm as (

    -- A number or sender that the CRM uses too shows the same touch in both systems.
    select distinct
        provider_touches.source_system,
        provider_touches.source_row_id
    from provider_touches
    inner join ghl_touches
        on
            provider_touches.lead_id = ghl_touches.lead_id
            and provider_touches.channel = ghl_touches.channel
            and provider_touches.direction = ghl_touches.direction
            and {{ dbt.dateadd('second', -60, 'provider_touches.occurred_at') }} <= ghl_touches.occurred_at
            and {{ dbt.dateadd('second', 60, 'provider_touches.occurred_at') }} >= ghl_touches.occurred_at

),

touches as (

    select * from ghl_touches

    union all

    select provider_touches.*
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
