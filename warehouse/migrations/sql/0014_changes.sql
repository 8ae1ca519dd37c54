-- Which keys of a table changed, and what each incremental model has seen of that. Written by
-- triggers on loaded tables and by the models on theirs (dbt_project/macros/changes.sql).
create schema changes;

create table changes.log (
    relation text not null,
    key text[],
    changed_by xid8 not null default pg_current_xact_id()
);

comment on table changes.log is
'Keys whose rows changed, by the transaction that changed them. No key: any row may have changed.';

create index log_by_relation on changes.log (relation, changed_by);

create table changes.seen (
    model text primary key,
    snapshot pg_snapshot not null,
    made_by text not null,
    as_of timestamptz not null
);

comment on table changes.seen is
'The snapshot that a model''s last run read, the digest of what it was made by, and its moment.';

-- Arguments: the columns of a key, by comma; an argument for each key that the rows have, of several
-- with the name of the part of the log that it goes to before it, as in part:columns. What the
-- statement wrote is read from its transition tables, old_rows and new_rows, so that it costs one
-- insert, however many rows there are.
create function changes.note() returns trigger
language plpgsql
-- Whoever may write a loaded table need not be allowed to write the log.
security definer
set search_path = pg_catalog
as $$
declare
    changed text := case tg_op
        when 'INSERT' then 'select * from new_rows'
        when 'DELETE' then 'select * from old_rows'
        when 'UPDATE' then 'select * from old_rows union all select * from new_rows'
    end;
    argument text;
    part text;
begin
    if tg_op = 'TRUNCATE' then
        insert into changes.log (relation)
        select distinct
            tg_table_schema || '.' || tg_table_name
            || coalesce('/' || substring(given.keys from '^(.*):'), '')
        from unnest(tg_argv) as given (keys);
        return null;
    end if;
    foreach argument in array tg_argv loop
        part := substring(argument from '^(.*):');
        execute format(
            'insert into changes.log (relation, key)'
            ' select distinct %L, array[%s] from (%s) as changed',
            tg_table_schema || '.' || tg_table_name || coalesce('/' || part, ''),
            (
                select string_agg(format('cast(changed.%I as text)', key.name), ', ' order by key.place)
                from unnest(string_to_array(substring(argument from '[^:]*$'), ','))
                with ordinality as key (name, place)
            ),
            changed
        );
    end loop;
    return null;
end
$$;
