-- Roles belong to the whole server and may be made by another database's migration at the same
-- moment; a server that lets us make none still works, and `leadengine doctor` says what is missing.
do $$
begin
    if not exists (select from pg_roles where rolname = 'leadengine_analyst') then
        create role leadengine_analyst nologin;
    end if;
    if not exists (select from pg_roles where rolname = 'leadengine_location') then
        create role leadengine_location nologin;
    end if;
exception
    when insufficient_privilege then
        raise notice 'no right to create roles: analyst and location roles are not set up';
    when duplicate_object or unique_violation then
        null;
end
$$;

do $$
declare
    relation text;
begin
    -- leadengine_analyst reads the marts, and nothing else.
    if exists (select from pg_roles where rolname = 'leadengine_analyst') then
        grant usage on schema marts to leadengine_analyst;
        alter default privileges in schema marts grant select on tables to leadengine_analyst;
    end if;

    -- leadengine_location sees the rows of the one location that its session names:
    -- set leadengine.location_id = '...'. The owner is not bound by the policies.
    if exists (select from pg_roles where rolname = 'leadengine_location') then
        grant usage on schema ops, ml to leadengine_location;
        foreach relation in array array[
            'ops.batch_items', 'ops.sends', 'ops.consent_logs', 'ops.suppressions',
            'ops.crm_writes', 'ops.quarantine', 'ops.load_runs', 'ops.audit_trail',
            'ml.lead_scores'
        ]
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
