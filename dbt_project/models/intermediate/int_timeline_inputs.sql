{#
    Everything that the events of a lead can be made from. Of the touches it takes the digest that
    they were made from: they are most of the events, and need not be read.
    depends_on: {{ ref('int_communications') }}, which keeps it.
#}
{{ config(materialized='table') }}

with leads as (

    select * from {{ ref('int_leads') }}

),

communications_built as (

    select * from {{ ref('int_communications_built') }}

),

deal_events as (

    select * from {{ ref('int_deal_events') }}

),

surviving as (

    select * from {{ ref('int_contacts_surviving') }}

),

imported as (

    select * from {{ ref('stg_import__leads') }}

),

email_events as (

    select * from {{ ref('int_email_events') }}

),

contact_changes as (

    select * from {{ ref('int_contact_changes') }}

),

consent_events as (

    select * from {{ ref('int_consent_events') }}

),

engine_events as (

    select * from {{ ref('int_engine_events') }}

),

inputs as (

    select
        leads.lead_id,
        {{ row_digest(["cast('lead' as text)", 'leads.*']) }} as digest
    from leads

    union all

    select
        lead_id,
        {{ row_digest(["cast('touches' as text)", 'inputs_digest']) }} as digest
    from communications_built

    union all

    select
        lead_id,
        {{ row_digest(["cast('deal' as text)", 'deal_events.*']) }} as digest
    from deal_events

    union all

    select
        lead_id,
        {{ row_digest(["cast('email' as text)", 'email_events.*']) }} as digest
    from email_events

    union all

    select
        lead_id,
        {{ row_digest(["cast('contact' as text)", 'contact_changes.*']) }} as digest
    from contact_changes

    union all

    select
        lead_id,
        {{ row_digest(["cast('engine' as text)", 'engine_events.*']) }} as digest
    from engine_events

    union all

    select
        consent_events.lead_id,
        {{
            row_digest(["cast('consent' as text)", 'consent_events.*', 'surviving.merge_known_at'])
        }} as digest
    from consent_events
    left join surviving
        on
            consent_events.location_id = surviving.location_id
            and consent_events.contact_id = surviving.contact_id

    union all

    select
        coalesce(surviving.lead_id, imported.location_id || ':' || imported.external_id) as lead_id,
        {{ row_digest(["cast('import' as text)", 'imported.*', 'surviving.merge_known_at']) }} as digest
    from imported
    left join surviving
        on
            imported.location_id = surviving.location_id
            and imported.external_id = surviving.contact_id

),

final as (

    select
        lead_id,
        sum(digest) as inputs_digest
    from inputs
    group by lead_id

)

select * from final
