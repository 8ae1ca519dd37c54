{{
    config(
        materialized='incremental',
        incremental_strategy='changed_keys',
        on_schema_change='fail',
        indexes=[
            {'columns': ['event_id'], 'unique': true},
            {'columns': ['lead_id']},
        ],
        pre_hook="{{ find_changes([
            news_of(ref('int_communications')),
            news_of(ref('int_leads')),
            news_of(source('raw_sendgrid', 'suppressions'), through='
                select leads.lead_id
                from news
                inner join ' ~ ref('int_leads') ~ ' as leads on lower(trim(news.key[1])) = leads.email
            '),
        ], all_leads()) }}",
        post_hook="{{ remember_changes() }}"
    )
}}

with communications as (

    select * from {{ ref('int_communications') }}
    where channel = 'email' and direction = 'outbound' and {{ only_changed() }}

),

suppressions as (

    select * from {{ ref('stg_sendgrid__suppressions') }}

),

leads as (

    select * from {{ ref('int_leads') }}
    where {{ only_changed() }}

),

sent as (

    select
        lead_id,
        location_id,
        source_system,
        source_row_id,
        source_row_id as email_id,
        'sent' as event_type,
        actor,
        agent_id,
        outcome,
        occurred_at,
        true as is_time_exact,
        known_at
    from communications

),

delivered as (

    -- Of an email that was opened since, when it arrived is not told: seconds after it was sent.
    select
        lead_id,
        location_id,
        source_system,
        source_row_id,
        source_row_id as email_id,
        'delivered' as event_type,
        cast(null as text) as actor,
        agent_id,
        outcome,
        case
            when outcome = 'delivered' then coalesce(status_changed_at, occurred_at) else occurred_at
        end as occurred_at,
        outcome = 'delivered' as is_time_exact,
        engagement_known_at as known_at
    from communications
    where outcome in ('delivered', 'opened', 'clicked', 'read')

),

opened as (

    -- Who clicked has opened, no later than that.
    select
        lead_id,
        location_id,
        source_system,
        source_row_id,
        source_row_id as email_id,
        'opened' as event_type,
        'lead' as actor,
        agent_id,
        outcome,
        engaged_at as occurred_at,
        not is_clicked as is_time_exact,
        engagement_known_at as known_at
    from communications
    where engaged_at is not null

),

clicked as (

    select
        lead_id,
        location_id,
        source_system,
        source_row_id,
        source_row_id as email_id,
        'clicked' as event_type,
        'lead' as actor,
        agent_id,
        outcome,
        engaged_at as occurred_at,
        true as is_time_exact,
        engagement_known_at as known_at
    from communications
    where engaged_at is not null and is_clicked

),

failed as (

    -- opt_out: the CRM did not send it, because the lead had unsubscribed.
    select
        lead_id,
        location_id,
        source_system,
        source_row_id,
        source_row_id as email_id,
        case when outcome = 'opt_out' then 'dropped' else 'bounced' end as event_type,
        cast(null as text) as actor,
        agent_id,
        outcome,
        coalesce(status_changed_at, occurred_at) as occurred_at,
        true as is_time_exact,
        engagement_known_at as known_at
    from communications
    where outcome in ('opt_out', 'failed', 'undelivered', 'bounced', 'not_delivered')

),

suppressed as (

    -- The lists name an address and no email; every lead with that address is meant.
    select
        leads.lead_id,
        leads.location_id,
        'sendgrid' as source_system,
        {{ dbt.hash("suppressions.kind || ':' || suppressions.email || ':' || leads.lead_id") }}
            as source_row_id,
        cast(null as text) as email_id,
        case suppressions.kind
            when 'unsubscribes' then 'unsubscribed'
            when 'spam_reports' then 'spam_reported'
            else 'suppressed'
        end as event_type,
        case when suppressions.kind in ('unsubscribes', 'spam_reports') then 'lead' end as actor,
        cast(null as text) as agent_id,
        suppressions.kind as outcome,
        coalesce(suppressions.created_at, suppressions.known_at) as occurred_at,
        suppressions.created_at is not null as is_time_exact,
        suppressions.known_at
    from suppressions
    inner join leads
        on
            suppressions.email = leads.email
            and coalesce(suppressions.location_id, leads.location_id) = leads.location_id

),

events as (

    select * from sent
    union all
    select * from delivered
    union all
    select * from opened
    union all
    select * from clicked
    union all
    select * from failed
    union all
    select * from suppressed

),

final as (

    select
        source_system || ':email_' || event_type || ':' || location_id || ':' || source_row_id
            as event_id,
        lead_id,
        location_id,
        event_type,
        email_id,
        actor,
        agent_id,
        outcome,
        occurred_at,
        is_time_exact,
        known_at,
        source_system,
        source_row_id
    from events
    where occurred_at is not null

)

select * from final
