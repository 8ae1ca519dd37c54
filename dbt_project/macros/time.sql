{# Seconds from one moment to another, as a whole number. #}
{% macro seconds_between(earlier, later) -%}
    {{ adapter.dispatch('seconds_between')(earlier, later) }}
{%- endmacro %}

{% macro default__seconds_between(earlier, later) -%}
    {{ dbt.datediff(earlier, later, 'second') }}
{%- endmacro %}

{% macro postgres__seconds_between(earlier, later) -%}
    cast(date_part('epoch', {{ later }} - {{ earlier }}) as bigint)
{%- endmacro %}


{# Seconds since 1970, as a whole number. #}
{% macro epoch_seconds(moment) -%}
    {{ seconds_between("cast('1970-01-01 00:00:00+00' as timestamp with time zone)", moment) }}
{%- endmacro %}


{# Days from one moment to another, with their fraction. #}
{% macro days_between(earlier, later) -%}
    {{ seconds_between(earlier, later) }} / cast(86400 as double precision)
{%- endmacro %}


{# A moment some days of 24 hours before another: no time zone has a say in it. #}
{% macro days_before(days, moment) -%}
    {{ dbt.dateadd('hour', days * -24, moment) }}
{%- endmacro %}

{% macro days_after(days, moment) -%}
    {{ dbt.dateadd('hour', days * 24, moment) }}
{%- endmacro %}


{# The calendar day of a moment in an IANA time zone. #}
{% macro local_date(moment, timezone) -%}
    {{ adapter.dispatch('local_date')(moment, timezone) }}
{%- endmacro %}

{% macro default__local_date(moment, timezone) -%}
    cast({{ moment }} at time zone {{ timezone }} as date)
{%- endmacro %}


{# The moment that this run scores at, UTC. #}
{% macro scoring_moment() -%}
    cast('{{ var("as_of") or run_started_at.isoformat() }}' as timestamp with time zone)
{%- endmacro %}
