-- Where each lead stands in the sequence that an approved batch started for it, and what was
-- decided on the way, with its evidence.
alter table ops.batches add column enrolled_at timestamptz;

create table ops.enrollments (
    enrollment_id uuid primary key,
    batch_id uuid not null references ops.batches (batch_id),
    lead_id text not null,
    location_id text not null,
    contact_id text not null,
    sequence text not null,
    zone text not null,
    status text not null check (status in ('active', 'completed', 'stopped')),
    step integer not null,
    step_at timestamptz,
    pending_step integer,
    pending_since timestamptz,
    next_check_at timestamptz,
    enrolled_at timestamptz not null,
    ended_at timestamptz,
    ended_by text,
    updated_at timestamptz not null,
    unique (batch_id, lead_id)
);
create index enrollments_due on ops.enrollments (next_check_at) where status = 'active';
create index enrollments_lead on ops.enrollments (lead_id, status);

create table ops.enrollment_events (
    enrollment_event_id bigint generated always as identity primary key,
    enrollment_id uuid not null references ops.enrollments (enrollment_id),
    location_id text not null,
    at timestamptz not null,
    kind text not null check (
        kind in (
            'enrolled', 'sent', 'refused', 'cancelled', 'branch', 'queued', 'completed', 'stopped'
        )
    ),
    step integer not null,
    detail jsonb not null,
    created_at timestamptz not null
);
create index enrollment_events_enrollment on ops.enrollment_events (enrollment_id);

-- Clicks are looked for by message.
create index webhook_events_engagement on ops.webhook_events ((payload ->> 'send_id'))
where event_type in ('open', 'click');

do $$
declare
    relation text;
begin
    if exists (select from pg_roles where rolname = 'leadengine_location') then
        foreach relation in array array['ops.enrollments', 'ops.enrollment_events']
        loop
            execute format('alter table %s enable row level security', relation);
            execute format(
                'create policy one_location on %s for select to leadengine_location '
                'using (location_id = current_setting(''leadengine.location_id'', true))',
                relation
            );
            execute format('grant select on %s to leadengine_location', relation);
        end loop;
    end if;
end
$$;
