-- The floor of a feature build: one plain aggregate over the same events, both clocks respected,
-- that tells nothing of the order of events. Fifteen columns.
create table benchmark.aggregate_floor as
select
    lead_id,
    max(occurred_at) as last_event_at,
    max(occurred_at) filter (where direction = 'inbound') as last_inbound_at,
    max(occurred_at) filter (where direction = 'outbound') as last_outbound_at,
    count(*) filter (where direction = 'inbound') as inbound_count,
    count(*) filter (where direction = 'outbound') as outbound_count,
    count(*) filter (where direction = 'inbound' and occurred_at >= %(as_of)s::timestamptz - interval '30 days') as inbound_count_30d,
    count(*) filter (where direction = 'outbound' and occurred_at >= %(as_of)s::timestamptz - interval '30 days') as outbound_count_30d,
    count(*) filter (where direction = 'inbound' and occurred_at >= %(as_of)s::timestamptz - interval '90 days') as inbound_count_90d,
    count(*) filter (where direction = 'outbound' and occurred_at >= %(as_of)s::timestamptz - interval '90 days') as outbound_count_90d,
    count(*) filter (where channel = 'sms') as sms_count,
    count(*) filter (where channel = 'email') as email_count,
    count(*) filter (where channel = 'call') as call_count,
    count(*) filter (where event_type = 'email_opened') as open_count,
    count(*) filter (where event_type = 'appointment_booked') as booked_count,
    sum(duration_seconds) as talk_seconds
from intermediate.int_lead_timeline
where occurred_at < %(as_of)s and known_at < %(as_of)s
group by lead_id
