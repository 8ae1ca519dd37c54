-- What is made in the CRM once and cannot be set again: tasks, notes, enrollments in workflows.
create table ops.crm_actions (
    action_id uuid primary key default gen_random_uuid(),
    location_id text not null,
    contact_id text not null,
    lead_id text not null,
    kind text not null check (kind in ('task', 'note', 'workflow')),
    once_key text not null,
    content jsonb not null,
    status text not null default 'intent' check (
        status in ('intent', 'trying', 'done', 'gone', 'failed', 'unsettled')
    ),
    attempts integer not null default 0,
    provider_id text,
    error text,
    created_at timestamptz not null,
    tried_at timestamptz,
    settled_at timestamptz,
    unique (kind, once_key)
);
create index crm_actions_open on ops.crm_actions (location_id, created_at)
where status in ('intent', 'trying');
create index crm_actions_lead on ops.crm_actions (lead_id, kind, created_at);

do $$
begin
    if exists (select from pg_roles where rolname = 'leadengine_location') then
        alter table ops.crm_actions enable row level security;
        create policy one_location on ops.crm_actions for select to leadengine_location
        using (location_id = current_setting('leadengine.location_id', true));
        grant select on ops.crm_actions to leadengine_location;
    end if;
end
$$;
