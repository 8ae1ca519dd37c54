-- Puts what was read on the list, each address once.
insert into ops.do_not_call (list_name, channel, address, location_id, kind, listed_on)
select distinct
    %(list_name)s,
    %(channel)s,
    address,
    %(location_id)s,
    %(kind)s,
    %(listed_on)s::date
from listed
on conflict do nothing
