{#
    Tables with a contract in one statement: dbt's own way, create and then insert, is one that
    PostgreSQL never runs on more than one core. The contract is checked all the same, on columns
    and types; a model with constraints keeps dbt's way, which alone can make them.
#}
{% macro postgres__create_table_as(temporary, relation, sql) -%}
    {%- set constraints = [model.get('constraints')] + (
        model.get('columns', {}).values() | map(attribute='constraints', default=none) | list
    ) -%}
    {%- if temporary or not config.get('contract').enforced or constraints | select | list -%}
    {{ dbt.postgres__create_table_as(temporary, relation, sql) }}
    {%- else -%}
    create {{ 'unlogged' if config.get('unlogged', default=false) }} table {{ relation }}
    {{ get_assert_columns_equivalent(sql) }}
    as (
        {{ get_select_subquery(sql) }}
    );
    {%- endif -%}
{%- endmacro %}


{#
    Before a model that groups or sorts very many rows: so many times the memory that a sort has
    otherwise, for this transaction; what does not fit goes over the disk.
#}
{% macro more_memory(times) -%}
    select set_config(
        'work_mem', cast(pg_size_bytes(current_setting('work_mem')) * {{ times }} / 1024 as text) || 'kB', true
    )
{%- endmacro %}


{#
    After each model that is a table: what reads it within the same run must not be planned as if
    it were empty. Without statistics a join of two large tables became a loop over both.
    meta.analyzed names the columns that matter where a table has very many. What an incremental run
    leaves about as large as it was is like it was, too.
#}
{% macro analyze_table() -%}
    {%- if config.get('materialized') not in ['view', 'ephemeral'] -%}
    {%- set columns = (config.get('meta') or {}).get('analyzed', []) -%}
    {%- if not (execute and is_incremental()) or has_grown(this) -%}
    analyze {{ this }}{{ ' (' ~ columns | join(', ') ~ ')' if columns }}
    {%- endif -%}
    {%- endif -%}
{%- endmacro %}


{#
    Whether a table is a tenth larger than when it was last looked at, or nobody has: an index that
    is made counts the pages, too, and leaves no statistics.
#}
{% macro has_grown(relation) -%}
    {%- set found = run_query(
        "select pg_relation_size(oid) > 1.1 * relpages * cast(current_setting('block_size') as integer)"
        ~ " or not exists (select 1 from pg_stats where schemaname = '" ~ relation.schema
        ~ "' and tablename = '" ~ relation.identifier ~ "')"
        ~ " from pg_class where oid = cast('" ~ relation ~ "' as regclass)"
    ) -%}
    {{ return(found.columns[0].values()[0]) }}
{%- endmacro %}
