-- Raw tables of a brokerage that nobody has: %(leads)s contacts of four locations, and as many
-- messages as bring the timeline to about %(events)s events; an agent has 500 leads. How much was
-- written to a lead is skewed, as it is in life. The same sizes give the same rows: nothing is random.

insert into raw_ghl.locations (id, location_id, name, timezone, _loaded_at, _known_at, _backfill, _row_hash)
select 'loc' || n, 'loc' || n, 'Office ' || n, 'America/New_York', now, now, true, ''
from generate_series(1, 4) as n cross join (select %(now)s::timestamptz as now) as moment;

insert into raw_ghl.custom_fields (id, location_id, name, field_key, _loaded_at, _known_at, _backfill, _row_hash)
select 'f' || place, 'loc' || n, key, 'contact.' || key, now, now, true, ''
from generate_series(1, 4) as n
cross join unnest(array['price_min', 'price_max', 'beds', 'timeline', 'property_type', 'lead_intent'])
    with ordinality as field (key, place)
cross join (select %(now)s::timestamptz as now) as moment;

-- One draw in [0, 1) for each lead and purpose.
create function pg_temp.draw(id bigint, purpose int) returns double precision
language sql immutable as $$
    select (hashint8extended(id, purpose) & 1073741823) / 1073741824.0::double precision
$$;

create temp table people as
select
    id,
    'loc' || (1 + id %% 4) as location_id,
    'c' || id as contact_id,
    added_at,
    pg_temp.draw(id, 5) as fate,
    least(200, floor(-ln(1 - pg_temp.draw(id, 2)) * %(mean_messages)s + pg_temp.draw(id, 3)))::int as messages
from generate_series(1::bigint, %(leads)s) as id
cross join lateral (
    select %(now)s::timestamptz - make_interval(secs => 3600 + pg_temp.draw(id, 1) * 540 * 86400) as added_at
) as arrival;
analyze people;

insert into raw_ghl.contacts (
    id, location_id, first_name, last_name, email, phone, type, source, date_added, date_updated,
    dnd, tags, custom_fields, assigned_to, _loaded_at, _known_at, _backfill, _row_hash
)
select
    contact_id, location_id, 'First' || id %% 997, 'Last' || id %% 9973, 'c' || id || '@example.com',
    '+1' || (201 + id / 1000000) || (2000000 + id %% 1000000), 'lead',
    (array['zillow', 'website', 'open house', 'referral'])[1 + id %% 4],
    added_at, added_at, false, '["buyer"]',
    jsonb_build_array(
        jsonb_build_object('id', 'f1', 'value', (200 + id %% 300) * 1000),
        jsonb_build_object('id', 'f2', 'value', (500 + id %% 300) * 1000),
        jsonb_build_object('id', 'f3', 'value', 1 + id %% 5),
        jsonb_build_object('id', 'f4', 'value', '0-3 months'),
        jsonb_build_object('id', 'f6', 'value', 'buy')
    ),
    'agent' || id %% %(agents)s, %(now)s, added_at, true, md5(id::text)
from people;

insert into raw_ghl.messages (
    id, location_id, contact_id, conversation_id, message_type, direction, status, body, date_added,
    date_updated, source, user_id, call_duration, call_status, _loaded_at, _known_at, _backfill, _row_hash
)
select
    'm' || id || '-' || n, location_id, contact_id, 'v' || id, type, direction,
    case when is_engaged then 'opened' else 'delivered' end, 'About the house, part ' || n, at,
    case when is_engaged then at + interval '5 hours' else at end, 'app', 'agent' || id %% %(agents)s,
    case when type = 'TYPE_CALL' then (draw * 600)::int end,
    case when type = 'TYPE_CALL' then 'completed' end, %(now)s,
    case when is_engaged then at + interval '5 hours' else at end, true, md5(id::text || n)
from people
cross join lateral generate_series(1, messages) as n
cross join lateral (select pg_temp.draw(id * 1000 + n, 4) as draw) as chance
cross join lateral (
    select
        (array['TYPE_SMS', 'TYPE_SMS', 'TYPE_EMAIL', 'TYPE_CALL'])[1 + n %% 4] as type,
        case when draw < 0.35 then 'inbound' else 'outbound' end as direction,
        added_at + (%(now)s::timestamptz - interval '6 hours' - added_at)
            * power((n - draw) / messages, 2) as at
) as shape
cross join lateral (
    select type = 'TYPE_EMAIL' and direction = 'outbound' and draw > 0.7 as is_engaged
) as engagement
where at < %(now)s::timestamptz - interval '6 hours';

insert into raw_ghl.appointments (
    id, location_id, calendar_id, contact_id, assigned_user_id, appointment_status, start_time,
    end_time, date_added, date_updated, _loaded_at, _known_at, _backfill, _row_hash
)
select
    'a' || id, location_id, 'cal', contact_id, 'agent' || id %% %(agents)s,
    (array['showed', 'noshow', 'cancelled', 'confirmed'])[1 + id %% 4],
    booked_at + interval '2 days', booked_at + interval '49 hours', booked_at, decided_at,
    %(now)s, decided_at, true, md5(id::text)
from people
cross join lateral (select added_at + (%(now)s::timestamptz - added_at) * fate as booked_at) as booking
cross join lateral (select booked_at + interval '50 hours' as decided_at) as decision
where fate < 0.2 and decided_at < %(now)s;

insert into raw_ghl.opportunities (
    id, location_id, contact_id, name, pipeline_id, pipeline_stage_id, status, monetary_value,
    assigned_to, created_at, updated_at, last_status_change_at, last_stage_change_at,
    _loaded_at, _known_at, _backfill, _row_hash
)
select
    'o' || id, location_id, contact_id, 'Deal', 'p', 's',
    (array['open', 'open', 'lost', 'won'])[1 + id %% 4], 400000 + id %% 1000,
    'agent' || id %% %(agents)s, opened_at, decided_at, decided_at, decided_at, %(now)s, decided_at, true,
    md5(id::text)
from people
cross join lateral (select added_at + (%(now)s::timestamptz - added_at) * fate as opened_at) as opening
cross join lateral (select opened_at + (%(now)s::timestamptz - opened_at) / 2 as decided_at) as decision
where fate between 0.1 and 0.4;

drop table people;
