{#
    All rows of a source table, or none, with the columns and types of its YAML, where the table
    is not there: a provider that is not connected has no tables.
#}
{% macro select_source(source_name, table_name) -%}
    {%- set relation = source(source_name, table_name) -%}
    {%- if not execute or relation.is_cte or source_exists(relation) -%}
    select * from {{ relation }}
    {%- else -%}
    {%- set table = graph.sources.values()
        | selectattr('source_name', 'equalto', source_name)
        | selectattr('name', 'equalto', table_name)
        | first -%}
    select
        {%- for column in table.columns.values() %}
        cast(null as {{ column.data_type }}) as {{ column.name }}{{ ',' if not loop.last }}
        {%- endfor %}
    where false
    {%- endif -%}
{%- endmacro %}


{#
    Whether a source's table is there. The database is asked, not dbt's cache: that takes a schema
    for known once it knows the first of its tables, so that another thread finds the rest missing.
#}
{% macro source_exists(relation) -%}
    {{ return(adapter.dispatch('source_exists')(relation)) }}
{%- endmacro %}

{% macro default__source_exists(relation) -%}
    {{ return(load_relation(relation) is not none) }}
{%- endmacro %}

{% macro postgres__source_exists(relation) -%}
    {%- set found = run_query(
        "select to_regclass('" ~ relation.include(database=false) ~ "') is not null"
    ) -%}
    {{ return(found.columns[0].values()[0]) }}
{%- endmacro %}


{# The same for a `from`, named like the table. #}
{% macro source_rows(source_name, table_name) -%}
    ({{ select_source(source_name, table_name) }}) as {{ table_name }}
{%- endmacro %}
