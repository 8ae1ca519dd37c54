-- A task for the agent of each of the hottest leads: once per lead and first reason, at most one a
-- lead in a week, and so many a location in a day.
insert into ops.crm_actions (location_id, contact_id, lead_id, kind, once_key, content, created_at)
select
    location_id,
    contact_id,
    lead_id,
    'task',
    once_key,
    content,
    %(now)s
from (
    select
        leads.location_id,
        leads.contact_id,
        leads.lead_id,
        leads.lead_id || ':' || coalesce(priorities.reasons -> 0 ->> 'feature', 'score') as once_key,
        jsonb_build_object(
            'score', round((priorities.score * 100)::numeric),
            'tier', priorities.tier,
            'reasons', priorities.reasons,
            'assigned_to', leads.assigned_agent_id
        ) as content,
        row_number() over (order by priorities.score desc, leads.lead_id) as place
    from marts.lead_priorities as priorities
    inner join marts.dim_leads as leads
        on priorities.lead_id = leads.lead_id and leads.origin = 'ghl'
    where
        leads.location_id = %(location_id)s
        and priorities.tier = 'hot'
        and priorities.tier = any(%(tiers)s)
        and not exists (
            select 1
            from ops.crm_writes as writes
            where
                writes.location_id = leads.location_id
                and writes.contact_id = leads.contact_id
                and writes.status = 'gone'
        )
        and not exists (
            select 1
            from ops.crm_actions as earlier
            where
                earlier.kind = 'task'
                and earlier.lead_id = leads.lead_id
                and (
                    earlier.created_at > %(now)s - interval '7 days'
                    or earlier.once_key
                    = leads.lead_id || ':' || coalesce(priorities.reasons -> 0 ->> 'feature', 'score')
                )
        )
) as candidates
where
    place <= %(a_day)s - (
        select count(*)
        from ops.crm_actions
        where
            kind = 'task'
            and location_id = %(location_id)s
            and created_at > %(now)s - interval '1 day'
    )
on conflict (kind, once_key) do nothing
