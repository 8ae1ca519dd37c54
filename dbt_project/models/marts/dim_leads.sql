{{
    config(
        indexes=[
            {'columns': ['lead_id'], 'unique': true},
            {'columns': ['location_id', 'contact_id']},
            {'columns': ['location_id', 'phone']},
            {'columns': ['email']},
        ]
    )
}}

with leads as (

    select * from {{ ref('int_leads') }}

),

lead_status as (

    select * from {{ ref('int_lead_status') }}

),

locations as (

    select * from {{ ref('stg_ghl__locations') }}

),

agents as (

    select * from {{ ref('stg_ghl__users') }}

),

final as (

    select
        leads.lead_id,
        leads.location_id,
        leads.contact_id,
        leads.origin,
        leads.first_name,
        leads.last_name,
        leads.email,
        leads.phone,
        leads.is_email_valid,
        leads.is_phone_valid,
        leads.source,
        lead_status.status,
        lead_status.is_open,
        lead_status.closed_at,
        leads.assigned_agent_id,
        agents.agent_name as assigned_agent_name,
        coalesce(leads.timezone, locations.timezone, 'UTC') as timezone,
        leads.state,
        leads.postal_code,
        leads.city,
        leads.is_dnd_all,
        leads.is_dnd_sms,
        leads.is_dnd_email,
        leads.is_dnd_call,
        leads.lead_intent,
        leads.price_min_cents,
        leads.price_max_cents,
        leads.beds,
        leads.timeline,
        leads.property_type,
        leads.created_at,
        lead_status.last_inbound_at,
        lead_status.last_outbound_at,
        leads.known_at
    from leads
    inner join lead_status on leads.lead_id = lead_status.lead_id
    left join locations on leads.location_id = locations.location_id
    left join agents
        on leads.location_id = agents.location_id and leads.assigned_agent_id = agents.agent_id

)

select * from final
