-- Lets one worker at a time decide about a person: two messages to the same person, claimed at the
-- same moment by two workers, would otherwise not see each other in the frequency cap. The locks
-- are taken in one order by everybody, and end with the transaction.
select pg_advisory_xact_lock(hashtextextended('person:' || person_id, 0))
from (
    select distinct coalesce(identities.lead_id, sends.lead_id) as person_id
    from ops.sends
    left join lateral (
        select others.lead_id
        from intermediate.int_lead_identities as others
        where others.record_lead_id = sends.lead_id
        limit 1
    ) as identities on true
    where sends.send_id = any(%(send_ids)s)
    order by person_id
) as people
