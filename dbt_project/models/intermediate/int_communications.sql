{{
    config(
        materialized='incremental',
        incremental_strategy='changed_keys',
        on_schema_change='fail',
        indexes=[{'columns': ['lead_id', 'channel', 'direction', 'occurred_at']}],
        pre_hook=[
            "{{ index_source('raw_ghl', 'messages', ['location_id', 'contact_id']) }}",
            "{{ find_changes([
                news_of(ref('int_contacts_surviving')),
                news_of(ref('int_provider_touches')),
                news_of(ref('int_lead_addresses'), through=leads_of_touches('
                    select news.key[1] as location_id, news.key[2] as address from news
                ')),
                news_of_contacts(source('raw_ghl', 'messages')),
            ], all_leads(), more=[leads_of_touches('
                select addresses.location_id, addresses.address
                from ' ~ ref('int_lead_addresses') ~ ' as addresses
                where ' ~ only_changed(['addresses.lead_id'])
            )]) }}",
        ],
        post_hook="{{ remember_changes() }}"
    )
}}

with messages as (

    select * from {{ ref('stg_ghl__messages') }}

),

-- Imported twice, since a CTE that is read twice is computed whole, for all leads.
messages_of_all as (

    select * from {{ ref('stg_ghl__messages') }}

),

surviving as (

    select * from {{ ref('int_contacts_surviving') }}
    where {{ only_changed() }}

),

surviving_of_all as (

    select * from {{ ref('int_contacts_surviving') }}

),

lead_addresses as (

    select * from {{ ref('int_lead_addresses') }}

),

provider_touches as (

    select * from {{ ref('int_provider_touches') }}
    where {{ only_changed() }}

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
    inner join surviving_of_all on lead_addresses.lead_id = surviving_of_all.lead_id
    inner join messages_of_all
        on
            surviving_of_all.location_id = messages_of_all.location_id
            and surviving_of_all.contact_id = messages_of_all.contact_id
            and provider_touches.channel = messages_of_all.channel
            and provider_touches.direction = messages_of_all.direction
            and {{ dbt.dateadd('second', -60, 'provider_touches.occurred_at') }} <= messages_of_all.created_at
            and {{ dbt.dateadd('second', 60, 'provider_touches.occurred_at') }} >= messages_of_all.created_at

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
