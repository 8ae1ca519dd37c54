{#
    All rows of a source table, or none, with the columns and types of its YAML, where the table
    is not there: a provider that is not connected has no tables.
#}
{% macro select_source(source_name, table_name) -%}
    {%- set relation = source(source_name, table_name) -%}
    {%- if not execute or relation.is_cte or load_relation(relation) is not none -%}
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
