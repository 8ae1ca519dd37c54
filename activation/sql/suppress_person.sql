-- Every address that any record of a person has on a channel.
insert into ops.suppressions (location_id, channel, address, reason, source, created_at)
select distinct
    addresses.location_id,
    addresses.channel,
    addresses.address,
    %(reason)s,
    %(source)s,
    %(at)s::timestamptz
from intermediate.int_lead_addresses as addresses
where
    addresses.channel = %(channel)s
    and addresses.lead_id in (
        select identities.lead_id
        from intermediate.int_lead_identities as identities
        where identities.record_lead_id = any(%(records)s)
        union
        select unnest(%(records)s::text [])
    )
on conflict do nothing
