{# Schemas are named exactly as configured: other rooms, roles and dashboards rely on them. #}
{% macro generate_schema_name(custom_schema_name, node) -%}
    {{ (custom_schema_name or target.schema) | trim }}
{%- endmacro %}
