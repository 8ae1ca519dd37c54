{#
    The versions of a snapshot that stood for a while, oldest first, numbered within the columns
    given. A version without duration is one that our own change of logic replaced, not the source.
#}
{% macro snapshot_versions(relation, key) -%}
    select
        *,
        row_number() over (partition by {{ key | join(', ') }} order by dbt_valid_from)
            as version_number
    from {{ relation }}
    where dbt_valid_to is null or dbt_valid_to > dbt_valid_from
{%- endmacro %}


{# With its time zone: dbt's own macro drops it, and the columns beside it have theirs. #}
{% macro postgres__snapshot_get_time() -%}
    {{ current_timestamp() }}
{%- endmacro %}
