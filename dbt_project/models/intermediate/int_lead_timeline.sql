{{
    config(
        materialized='incremental',
        incremental_strategy='changed_keys',
        on_schema_change='fail',
        indexes=[
            {'columns': ['event_id'], 'unique': true},
            {'columns': ['lead_id', 'occurred_at']},
        ],
        pre_hook="{{ find_changes([
            news_of(ref('int_leads')),
            news_of(ref('int_contacts_surviving')),
            news_of(ref('int_communications')),
            news_of(ref('int_email_events')),
            news_of(ref('int_deal_events')),
            news_of(ref('int_contact_changes'), 'lead'),
            news_of(ref('int_consent_events')),
            news_of(ref('int_engine_events')),
            news_of(ref('stg_import__leads'), through=leads_of_records('import')),
        ], all_leads()) }}",
        post_hook="{{ remember_changes() }}"
    )
}}

with leads as (

    select * from {{ ref('int_leads') }}
    where {{ only_changed() }}

),

communications as (

    select * from {{ ref('int_communications') }}
    where {{ only_changed() }}

),

deal_events as (

    select * from {{ ref('int_deal_events') }}
    where {{ only_changed() }}

),

surviving as (

    select * from {{ ref('int_contacts_surviving') }}

),

imported as (

    select * from {{ ref('stg_import__leads') }}

),

email_events as (

    select * from {{ ref('int_email_events') }}
    where {{ only_changed() }}

),

contact_changes as (

    select * from {{ ref('int_contact_changes') }}
    where {{ only_changed() }}

),

consent_events as (

    select * from {{ ref('int_consent_events') }}
    where {{ only_changed() }}

),

engine_events as (

    select * from {{ ref('int_engine_events') }}
    where {{ only_changed() }}

),

lead_created as (

    -- Intake is known from the day it came in: our own write-back moves the row's clock later.
    select
        lead_id,
        location_id,
        'lead_created' as event_type,
        cast(null as text) as channel,
        cast(null as text) as direction,
        'lead' as actor,
        cast(null as text) as agent_id,
        created_at as occurred_at,
        created_at as known_at,
        origin as source_system,
        coalesce(contact_id, lead_id) as source_row_id,
        cast(null as bigint) as amount_cents,
        cast(null as integer) as duration_seconds,
        source as outcome
    from leads

),

touches as (

    select
        lead_id,
        location_id,
        'touch' as event_type,
        channel,
        direction,
        actor,
        agent_id,
        occurred_at,
        known_at,
        source_system,
        source_row_id,
        cast(null as bigint) as amount_cents,
        duration_seconds,
        outcome
    from communications

),

email_engagements as (

    -- That an email was sent is a touch, and its delivery the touch's outcome.
    select
        lead_id,
        location_id,
        'email_' || event_type as event_type,
        'email' as channel,
        cast(null as text) as direction,
        actor,
        agent_id,
        occurred_at,
        known_at,
        source_system,
        source_row_id,
        cast(null as bigint) as amount_cents,
        cast(null as integer) as duration_seconds,
        outcome
    from email_events
    where event_type not in ('sent', 'delivered')

),

imports_decided as (

    -- The outcome of an imported lead stands for that of an opportunity.
    select
        leads.lead_id,
        leads.location_id,
        case
            when imported.has_converted then 'opportunity_won' else 'opportunity_lost'
        end as event_type,
        cast(null as text) as channel,
        cast(null as text) as direction,
        'agent' as actor,
        cast(null as text) as agent_id,
        coalesce(imported.outcome_at, imported.known_at) as occurred_at,
        greatest(imported.known_at, coalesce(surviving.merge_known_at, imported.known_at)) as known_at,
        'import' as source_system,
        imported.external_id as source_row_id,
        cast(null as bigint) as amount_cents,
        cast(null as integer) as duration_seconds,
        case when imported.has_converted then 'won' else 'lost' end as outcome
    from imported
    left join surviving
        on
            imported.location_id = surviving.location_id
            and imported.external_id = surviving.contact_id
    inner join leads
        on coalesce(surviving.lead_id, imported.location_id || ':' || imported.external_id) = leads.lead_id
    where imported.has_converted is not null

),

first_events as (

    -- Of each of these a source row tells once.
    select * from lead_created
    union all
    select * from touches
    union all
    select * from email_engagements
    union all
    select * from imports_decided

),

contact_events as (

    select
        lead_id,
        location_id,
        event_type,
        channel,
        cast(null as text) as direction,
        cast(null as text) as actor,
        agent_id,
        occurred_at,
        known_at,
        'ghl' as source_system,
        contact_id as source_row_id,
        cast(null as bigint) as amount_cents,
        cast(null as integer) as duration_seconds,
        outcome,
        version_number || ':' || change_key as event_version
    from contact_changes

),

consent_changes as (

    -- Evidence of a contact that was merged is the lead's from the merge on.
    select
        consent_events.lead_id,
        consent_events.location_id,
        'consent_' || consent_events.action as event_type,
        consent_events.channel,
        cast(null as text) as direction,
        case
            when
                consent_events.source = 'lead'
                or consent_events.method in (
                    'crm_field', 'suppression_unsubscribes', 'suppression_spam_reports'
                )
                then 'lead'
        end as actor,
        cast(null as text) as agent_id,
        consent_events.occurred_at,
        greatest(
            consent_events.known_at, coalesce(surviving.merge_known_at, consent_events.known_at)
        ) as known_at,
        case
            when consent_events.evidence_key like 'twilio:%' then 'twilio'
            when consent_events.evidence_key like 'sendgrid:%' then 'sendgrid'
            else 'ghl'
        end as source_system,
        consent_events.evidence_key as source_row_id,
        cast(null as bigint) as amount_cents,
        cast(null as integer) as duration_seconds,
        consent_events.method as outcome,
        '' as event_version
    from consent_events
    left join surviving
        on
            consent_events.location_id = surviving.location_id
            and consent_events.contact_id = surviving.contact_id

),

own_events as (

    select
        lead_id,
        location_id,
        event_type,
        channel,
        cast(null as text) as direction,
        'automation' as actor,
        cast(null as text) as agent_id,
        occurred_at,
        known_at,
        'leadengine' as source_system,
        source_row_id,
        cast(null as bigint) as amount_cents,
        cast(null as integer) as duration_seconds,
        outcome,
        event_version
    from engine_events

),

events as (

    select
        *,
        '' as event_version
    from first_events
    union all
    select * from contact_events
    union all
    select * from deal_events
    union all
    select * from consent_changes
    union all
    select * from own_events

),

final as (

    select
        source_system || ':' || event_type || ':' || location_id || ':' || source_row_id
        || case when event_version != '' then ':' || event_version else '' end as event_id,
        lead_id,
        location_id,
        event_type,
        channel,
        direction,
        actor,
        agent_id,
        occurred_at,
        known_at,
        source_system,
        source_row_id,
        amount_cents,
        cast(duration_seconds as integer) as duration_seconds,
        outcome
    from events
    where occurred_at is not null

)

select * from final
