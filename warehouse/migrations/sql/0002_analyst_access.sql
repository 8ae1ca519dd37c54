-- leadengine_analyst becomes a login of its own with limits, and loses the default grant on new
-- marts: dbt grants each mart, all of it or all but its personal columns (macros/grants.sql).
-- Where a password is asked for it cannot log in until the owner gives it one.
do $$
begin
    if exists (select from pg_roles where rolname = 'leadengine_analyst') then
        alter default privileges in schema marts revoke select on tables from leadengine_analyst;
        -- Until the next build: tables of before carry grants on their personal columns as well.
        revoke all on all tables in schema marts from leadengine_analyst;
    end if;
end
$$;

do $$
begin
    -- Roles belong to the whole server: what another database's migration did is not done again.
    if exists (
        select from pg_roles
        where rolname = 'leadengine_analyst'
            and not (rolcanlogin and coalesce(rolconfig, '{}') @> array[
                'statement_timeout=60s',
                'idle_in_transaction_session_timeout=5min',
                'default_transaction_read_only=on'
            ])
    ) then
        alter role leadengine_analyst login;
        alter role leadengine_analyst set statement_timeout = '60s';
        alter role leadengine_analyst set idle_in_transaction_session_timeout = '5min';
        alter role leadengine_analyst set default_transaction_read_only = on;
    end if;
exception
    when insufficient_privilege then
        raise notice 'no right to alter leadengine_analyst: it has no login and no limits';
    when internal_error then
        -- "tuple concurrently updated": the other database's migration is doing the same.
        null;
end
$$;

-- A role's settings count for its own logins, not for those of its members: so each person's login
-- is given a copy. Called again, it brings an existing login up to date.
create function ops.add_analyst(login name) returns void
language plpgsql
set search_path = pg_catalog
as $$
declare
    setting text;
begin
    if exists (select from pg_roles where rolname = login and (rolsuper or rolbypassrls)) then
        raise exception '% is an administrator; an analyst needs a login of its own', login;
    end if;
    if not exists (select from pg_roles where rolname = login) then
        execute format('create role %I login', login);
    end if;
    execute format('grant leadengine_analyst to %I', login);
    for setting in
        select unnest(rolconfig) from pg_roles where rolname = 'leadengine_analyst'
    loop
        execute format(
            'alter role %I set %I = %L',
            login, split_part(setting, '=', 1), substr(setting, strpos(setting, '=') + 1)
        );
    end loop;
end
$$;
revoke all on function ops.add_analyst(name) from public;
comment on function ops.add_analyst(name) is
'Makes a login for one analyst: member of leadengine_analyst, with its limits; sets no password.';
