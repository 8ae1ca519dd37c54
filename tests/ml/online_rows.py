"""The relations that the one-lead query reads, filled by hand for one location."""

from datetime import UTC, datetime

NOW = datetime(2026, 3, 4, 15, 30, 17, 123456, tzinfo=UTC)

RELATIONS = """
create table marts.dim_leads (lead_id text, location_id text, status text);
create table intermediate.int_leads as
select
    'loc:c' || i as lead_id, 'loc' as location_id, 'zillow' as source, 'buy' as lead_intent,
    '0-3 months' as timeline, 'condo' as property_type, 1 + i % 4 as beds,
    100000::bigint * i as price_min_cents, 200000::bigint * i as price_max_cents,
    timestamptz '2026-03-04 15:30:17+00' - (10 + i % 150) * interval '25 hours' as created_at
from generate_series(1, 400) as i;
create table intermediate.int_lead_timeline as
select
    lead_id || '/' || n as event_id, lead_id, location_id, 'touch' as event_type,
    (array['sms', 'email', 'call'])[1 + (hashtext(lead_id || n) & 65535) % 3] as channel,
    case when n % 2 = 0 then 'inbound' else 'outbound' end as direction,
    case when n % 2 = 0 then 'lead' else 'agent' end as actor,
    case when n % 2 = 1 then 'dana' end as agent_id,
    created_at + n * interval '31 hours 11.000001 seconds' as occurred_at,
    created_at + n * interval '31 hours 13.000001 seconds' as known_at,
    case when n % 3 = 0 then 61 * n end as duration_seconds,
    case when n % 3 = 0 then 'answered' end as outcome
from intermediate.int_leads
cross join generate_series(1, 9) as n
where (hashtext(lead_id) & 65535) % 7 + 3 >= n;
create index on intermediate.int_lead_timeline (lead_id, occurred_at);
create table staging.stg_ghl__locations as
select 'loc' as location_id, 'America/New_York' as timezone;
create table intermediate.int_agent_days as
select 'loc' as location_id, 'dana' as agent_id, day::date, 3 as touches_7d, 2 as leads_7d
from generate_series(date '2025-10-01', date '2026-06-01', interval '1 day') as day;
insert into marts.dim_leads
select lead_id, location_id, 'open' as status from intermediate.int_leads;
"""
