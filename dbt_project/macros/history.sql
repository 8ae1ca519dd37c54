{#
    The versions of a snapshot that stood for a while, oldest first, numbered within the columns
    given. A version without duration is one that our own change of logic replaced, not the source.

    Before its first snapshot, as on a new database in `dbt run`, which makes none, every row is in
    its first version: what the snapshot is going to say of it, known from the same moment.
#}
{% macro snapshot_versions(snapshot, source, known_at, key, condition='true') -%}
    {%- if not execute or snapshot.is_cte or load_relation(snapshot) is not none -%}
    select
        *,
        row_number() over (partition by {{ key | join(', ') }} order by dbt_valid_from)
            as version_number
    from {{ snapshot }}
    where (dbt_valid_to is null or dbt_valid_to > dbt_valid_from) and {{ condition }}
    {%- else -%}
    select
        *,
        {{ known_at }} as dbt_valid_from,
        cast(null as timestamp with time zone) as dbt_valid_to,
        1 as version_number
    from {{ source }}
    where {{ condition }}
    {%- endif -%}
{%- endmacro %}


{# A snapshot, or what it is made of where it has not been made yet: both have the rows of now. #}
{% macro versions_of(snapshot, source) -%}
    {{ return(snapshot if not execute or load_relation(snapshot) is not none else source) }}
{%- endmacro %}


{# With its time zone: dbt's own macro drops it, and the columns beside it have theirs. #}
{% macro postgres__snapshot_get_time() -%}
    {{ current_timestamp() }}
{%- endmacro %}
