-- The next messages of a sender that are due, claimed for a worker whose lock is held.
with due as (
    select send_id
    from ops.sends
    where
        status = 'intent'
        and channel = %(channel)s
        and from_address = %(from_address)s
        and not_before <= %(now)s
        and exists (
            select 1
            from pg_catalog.pg_locks
            where
                locktype = 'advisory'
                and granted
                and objsubid = 1
                and mode = 'ExclusiveLock'
                and database = (
                    select oid from pg_catalog.pg_database where datname = current_database()
                )
                and ((classid::bigint << 32) | objid::bigint) = %(lock_key)s
        )
    order by not_before, score desc nulls last, send_id
    limit %(most)s
    for update skip locked
)

update ops.sends as claimed
set
    status = 'claimed',
    status_reason = null,
    claimed_by = %(worker)s,
    claimed_at = %(now)s,
    attempts = claimed.attempts + 1,
    provider = case claimed.channel when 'sms' then 'twilio' else 'sendgrid' end
from due
where claimed.send_id = due.send_id
returning claimed.*
