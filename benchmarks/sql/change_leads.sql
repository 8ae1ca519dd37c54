-- What an hourly load brings: one lead in every %(every)s changed. Each gets a message; of these
-- leads a fifth also shows an older message that came late, a fifth a corrected one, a twentieth
-- loses one, and a hundredth is found to have been merged into the next lead of its location.

create temp table changed as
select
    id,
    'loc' || (1 + id %% 4) as location_id,
    'c' || id as contact_id,
    id / %(every)s as place
from generate_series(%(every)s::bigint, %(leads)s - 4, %(every)s) as id;

insert into raw_ghl.messages (
    id, location_id, contact_id, conversation_id, message_type, direction, status, date_added,
    date_updated, source, _loaded_at, _known_at, _backfill, _row_hash
)
select
    'new' || age || '-' || id, location_id, contact_id, 'v' || id, 'TYPE_SMS', 'inbound',
    'delivered', at, at, 'app', %(now)s, %(now)s, false, md5(id::text)
from changed
cross join unnest(array[0, 40]) as age
cross join lateral (
    select %(now)s::timestamptz - make_interval(days => age, mins => 30) as at
) as moment
where age = 0 or place %% 5 = 0;

update raw_ghl.messages
set
    status = 'failed', date_updated = %(now)s, _loaded_at = %(now)s, _known_at = %(now)s,
    _backfill = false, _row_hash = 'corrected'
from changed
where
    changed.place %% 5 = 1
    and messages.location_id = changed.location_id
    and messages.id = 'm' || changed.id || '-1';

delete from raw_ghl.messages using changed
where
    changed.place %% 20 = 2
    and messages.location_id = changed.location_id
    and messages.id = 'm' || changed.id || '-2';

insert into raw_ghl.contact_tombstones (
    location_id, contact_id, detected_at, merged_into, evidence, _loaded_at, _known_at, _backfill, _row_hash
)
select location_id, contact_id, %(now)s, 'c' || (id + 4), 'email', %(now)s, %(now)s, false, md5(id::text)
from changed
where place %% 100 = 3;

drop table changed;
