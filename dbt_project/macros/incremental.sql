{#
    Incremental strategy whose result is that of a full refresh, whatever happened to the rows
    below: came late, were corrected, deleted, merged, given to another lead; also when a macro or
    a variable changed. macros/changes.sql finds the keys whose rows may differ, the query runs for
    those, and of their rows those that differ are replaced, found by a digest of each; so a model
    needs a unique key, that no row is there twice. The keys of the rows that differ are noted, for
    the models that read this one.

    A model has the hooks find_changes() and remember_changes(), restricts itself with
    only_changed(), and may say in meta:
    changed_by: the columns of its key; default: lead_id.
    noted: by part, further sets of columns whose values are noted, such as an address.
    computed_whole: true where the query is not restricted, being small.
#}
{% macro get_incremental_changed_keys_sql(arguments) -%}
    {%- set columns = arguments.dest_columns | map(attribute='quoted') | list -%}
    {%- set target = arguments.target_relation -%}
    {%- set differing = arguments.temp_relation.identifier ~ '_differing' -%}
    {%- set keys = key_columns() -%}
    {%- set meta = config.get('meta') or {} -%}

    lock table {{ target }} in share row exclusive mode;

    create temporary table "{{ differing }}" on commit drop as
    select
        held.place as held_place,
        built.place as built_place
    from (
        select
            ctid as place,
            {{ row_digest(columns) }} as digest
        from {{ target }}
        {%- if not meta.get('computed_whole') %}
        where ({{ keys | join(', ') }}) in (select {{ keys | join(', ') }} from {{ changed_keys() }})
        {%- endif %}
    ) as held
    full join (
        select
            ctid as place,
            {{ row_digest(columns) }} as digest
        from {{ arguments.temp_relation }}
    ) as built on held.digest = built.digest
    where held.place is null or built.place is null;

    analyze "{{ differing }}";

    {% for part, noted in dict({'': keys}, **meta.get('noted', {})).items() %}
    insert into changes.log (relation, key)
    select
        '{{ logged_name(target, part) }}',
        key
    from (
        select array[{{ noted | join('::text, ') }}::text] as key
        from {{ target }} as held
        inner join "{{ differing }}" as differing on held.ctid = differing.held_place
        union
        select array[{{ noted | join('::text, ') }}::text] as key
        from {{ arguments.temp_relation }} as built
        inner join "{{ differing }}" as differing on built.ctid = differing.built_place
    ) as written
    -- A key without one of its parts finds nothing.
    where array_position(key, null) is null;
    {% endfor %}

    delete from {{ target }} as held
    using "{{ differing }}" as differing
    where held.ctid = differing.held_place;

    insert into {{ target }} ({{ columns | join(', ') }})
    select {{ columns | join(', ') }}
    from {{ arguments.temp_relation }} as built
    where built.ctid in (select built_place from "{{ differing }}")
{%- endmacro %}


{# A 64-bit digest of some values; equal values of equal types have equal digests. #}
{% macro row_digest(values) -%}
    {{ adapter.dispatch('row_digest')(values) }}
{%- endmacro %}

{% macro default__row_digest(values) -%}
    {{ exceptions.raise_compiler_error('row_digest has no form for this engine yet') }}
{%- endmacro %}

{% macro postgres__row_digest(values) -%}
    hash_record_extended(row({{ values | join(', ') }}), 0)
{%- endmacro %}


{#
    An index on a loaded table that a model looks rows up by; loading knows only the keys. Where it is
    there the table is not touched: even `if not exists` waits for a load that goes on.
#}
{% macro index_source(source_name, table_name, columns) -%}
    {%- set relation = source(source_name, table_name) -%}
    {%- set index = table_name ~ '_by_' ~ columns | join('_') -%}
    {%- if execute and source_exists(relation) and not source_exists(
        api.Relation.create(schema=relation.schema, identifier=index)
    ) -%}
    create index if not exists {{ index }} on {{ relation }} ({{ columns | join(', ') }})
    {%- endif -%}
{%- endmacro %}


{#
    An incremental model whose table has other columns than its YAML now describes is built anew:
    rows of before lack what later ones have. Of all other models dbt decides as ever.
#}
{% macro should_full_refresh() -%}
    {%- set wanted = config.get('full_refresh') -%}
    {%- if wanted is none -%}
        {%- set wanted = flags.FULL_REFRESH -%}
    {%- endif -%}
    {%- if not wanted and execute and config.get('materialized') == 'incremental' -%}
        {%- set relation = load_cached_relation(this) -%}
        {%- if relation is not none and relation.type == 'table' -%}
            {%- set held = adapter.get_columns_in_relation(relation) | map(attribute='name') | sort -%}
            {%- set wanted = held | list != model.columns.keys() | sort | list -%}
        {%- endif -%}
    {%- endif -%}
    {{ return(wanted) }}
{%- endmacro %}
