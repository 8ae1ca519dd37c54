/*
    Columns that {batch} should have and has not, or has with another type. The loader makes varchar of
    text, which is the same to whoever reads it.
*/
select expected.name || case
    when found.attname is null then ' is missing'
    else ' is ' || format_type(found.atttypid, null) || ' and not ' || expected.kind
end as complaint
from (values $columns) as expected (name, kind)
left join pg_catalog.pg_attribute as found
    on found.attrelid = to_regclass('$table')
        and found.attname = expected.name
        and found.attnum > 0
        and not found.attisdropped
where
    found.attname is null
    or case when found.atttypid = 'varchar'::regtype then 'text'::regtype else found.atttypid end
    <> expected.kind::regtype
