-- Fills the tables of activation_marts.sql.
insert into marts.dim_leads (
    lead_id, location_id, contact_id, origin, first_name, last_name, email, phone,
    is_email_valid, is_phone_valid, source, status, is_open, assigned_agent_name, timezone, state,
    city, is_dnd_all, is_dnd_sms, is_dnd_email, is_dnd_call, lead_intent, beds, property_type,
    created_at, known_at
)
select
    location_id || ':c' || n,
    location_id,
    'c' || n,
    'ghl',
    (array['Ann', 'Bob', 'Carla', 'Dee', 'Eli', 'Flo', 'Gus', 'Hope'])[n %% 8 + 1],
    'Simulated',
    'c' || n || '@example.com',
    case when n %% 4 < 2 then '+1' || (array['212', '305', '312', '602', '206'])[n %% 5 + 1]
        || (2000000 + n)::text end,
    true,
    n %% 4 < 2,
    'website',
    'open',
    true,
    'Kim',
    (array['America/New_York', 'America/Chicago', 'America/Denver'])[n %% 3 + 1],
    (array['NY', 'IL', 'CO'])[n %% 3 + 1],
    (array['Tampa', 'Austin', 'Boise', 'Mesa'])[n %% 4 + 1],
    n %% 50 = 1,
    false,
    false,
    false,
    'buy',
    n %% 4 + 1,
    'condo',
    %(at)s::timestamptz - interval '200 days',
    %(at)s::timestamptz - interval '200 days'
from (
    select n, (%(locations)s::text [])[n %% cardinality(%(locations)s::text []) + 1] as location_id
    from generate_series(0, %(leads)s - 1) as n
) as numbered;

insert into intermediate.int_lead_identities
select location_id, 'contact', contact_id, lead_id, lead_id from marts.dim_leads;

insert into intermediate.int_lead_addresses
select location_id, lead_id, 'sms', phone from marts.dim_leads where phone is not null
union all
select location_id, lead_id, 'email', email from marts.dim_leads where email is not null;

insert into marts.lead_priorities
select
    lead_id, location_id, contact_id,
    (abs(hashtext(lead_id)) %% 100000) / 100000.0,
    (array['hot', 'warm', 'cool'])[abs(hashtext(lead_id)) %% 3 + 1],
    row_number() over (partition by location_id order by lead_id), '[]', null, '1',
    %(at)s::timestamptz
from marts.dim_leads;

insert into ml.lead_scores
select
    lead_id, location_id, %(at)s::timestamptz - interval '1 hour', score, tier, rank, '[]',
    'lead_conversion', '1', 'digest', '{}', %(at)s::timestamptz
from marts.lead_priorities;

insert into ops.consent_logs (
    location_id, lead_id, contact_id, channel, purpose, action, source, method, consent_text,
    occurred_at, known_at, evidence_key, recorded_by
)
select
    location_id, lead_id, contact_id, channel, 'marketing',
    -- Some have changed their mind since.
    case when age = 1 and abs(hashtext(lead_id)) %% 25 = 0 then 'revoked' else 'granted' end,
    'form', 'checkbox', 'I agree to be contacted.',
    %(at)s::timestamptz - make_interval(days => 90 - age),
    %(at)s::timestamptz - make_interval(days => 90 - age),
    lead_id || ':' || channel || ':' || age, 'benchmark'
from
    marts.dim_leads,
    unnest(array['sms', 'email']) as channel,
    generate_series(0, 1) as age
where age = 0 or abs(hashtext(lead_id)) %% 25 = 0;
