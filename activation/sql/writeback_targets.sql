-- Contacts whose score belongs in the CRM, hottest first: the wanted tiers, and those that carry
-- a score already and fell out of them (or are no longer open: no score any more).
select
    coalesce(leads.location_id, writes.location_id) as location_id,
    coalesce(leads.contact_id, writes.contact_id) as contact_id,
    priorities.score,
    priorities.tier,
    priorities.reasons,
    priorities.as_of,
    -- By name, so that a ranking without a best channel does as well.
    to_jsonb(priorities) ->> 'next_best_channel' as next_best_channel,
    to_jsonb(priorities) ->> 'next_best_hour' as next_best_hour,
    writes.field_digest,
    writes.fields,
    writes.tags,
    writes.status
from marts.lead_priorities as priorities
inner join marts.dim_leads as leads
    on priorities.lead_id = leads.lead_id and leads.origin = 'ghl'
full join ops.crm_writes as writes
    on leads.location_id = writes.location_id and leads.contact_id = writes.contact_id
where
    priorities.tier = any(%(tiers)s)
    or (writes.contact_id is not null and priorities.tier is distinct from writes.fields ->> 'tier')
    or writes.status = 'tags_pending'
order by priorities.score desc nulls last, location_id, contact_id
