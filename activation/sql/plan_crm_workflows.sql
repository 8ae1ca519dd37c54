-- Leads of a tier enter that tier's workflow, once for good: the workflow itself repeats.
insert into ops.crm_actions (location_id, contact_id, lead_id, kind, once_key, content, created_at)
select
    leads.location_id,
    leads.contact_id,
    leads.lead_id,
    'workflow',
    leads.lead_id || ':' || %(workflow_id)s,
    jsonb_build_object('workflow_id', %(workflow_id)s::text, 'tier', priorities.tier),
    %(now)s
from marts.lead_priorities as priorities
inner join marts.dim_leads as leads
    on priorities.lead_id = leads.lead_id and leads.origin = 'ghl'
where
    leads.location_id = %(location_id)s
    and priorities.tier = %(tier)s
    and not exists (
        select 1
        from ops.crm_writes as writes
        where
            writes.location_id = leads.location_id
            and writes.contact_id = leads.contact_id
            and writes.status = 'gone'
    )
on conflict (kind, once_key) do nothing
