-- What the marts of a big account hold, as far as activation reads it, with the indexes that dbt
-- gives them. Everybody is made up, and so is every number; only the sandbox is ever written to.
-- Every lead has consent for both channels; half have a phone number, half an email address only.
create table marts.dim_leads (
    lead_id text, location_id text, contact_id text, origin text, first_name text, last_name text,
    email text, phone text, is_email_valid boolean, is_phone_valid boolean, source text,
    status text, is_open boolean, assigned_agent_id text, assigned_agent_name text, timezone text,
    state text, postal_code text, city text, is_dnd_all boolean, is_dnd_sms boolean,
    is_dnd_email boolean, is_dnd_call boolean, lead_intent text, price_min_cents bigint,
    price_max_cents bigint, beds integer, timeline text, property_type text,
    created_at timestamptz, last_inbound_at timestamptz, last_outbound_at timestamptz,
    known_at timestamptz, closed_at timestamptz
);
create table intermediate.int_lead_identities (
    location_id text, record_type text, record_id text, record_lead_id text, lead_id text
);
create table intermediate.int_lead_addresses (
    location_id text, lead_id text, channel text, address text
);
create table marts.lead_priorities (
    lead_id text, location_id text, contact_id text, score double precision, tier text,
    rank integer, reasons jsonb, assigned_agent_id text, model_version text, as_of timestamptz
);
create table marts.fct_consent_events (
    evidence_key text primary key, lead_id text, location_id text, contact_id text, channel text,
    purpose text, action text, occurred_at timestamptz, known_at timestamptz, source text,
    method text, consent_text text
);
create table marts.fct_communications (
    event_id text primary key, lead_id text, location_id text, channel text, direction text,
    actor text, occurred_at timestamptz, known_at timestamptz
);
create table marts.fct_appointments (
    appointment_id text primary key, lead_id text, location_id text, status text,
    booked_at timestamptz, starts_at timestamptz, known_at timestamptz
);
create table marts.fct_opportunities (
    opportunity_id text primary key, lead_id text, location_id text, status text,
    closed_at timestamptz
);
