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


{# The moment at which the UTC day of another began. #}
{% macro start_of_day(moment) -%}
    {{ utc_day_begins(local_date(moment, "'UTC'")) }}
{%- endmacro %}


{# The moment at which a day began, in UTC. #}
{% macro utc_day_begins(day) -%}
    {{ adapter.dispatch('utc_day_begins')(day) }}
{%- endmacro %}

{% macro default__utc_day_begins(day) -%}
    cast({{ day }} as timestamp) at time zone 'UTC'
{%- endmacro %}


{# The clock on the wall at a moment in an IANA time zone, without a zone. #}
{% macro local_time(moment, timezone) -%}
    {{ adapter.dispatch('local_time')(moment, timezone) }}
{%- endmacro %}

{% macro default__local_time(moment, timezone) -%}
    cast({{ moment }} at time zone {{ timezone }} as timestamp)
{%- endmacro %}


{# The hour, 0 to 23, of a moment without a zone. #}
{% macro hour_of(local_time) -%}
    {{ adapter.dispatch('hour_of')(local_time) }}
{%- endmacro %}

{% macro default__hour_of(local_time) -%}
    extract(hour from {{ local_time }})
{%- endmacro %}

{% macro postgres__hour_of(local_time) -%}
    date_part('hour', {{ local_time }})
{%- endmacro %}


{# Whether a moment without a zone is on a Saturday or Sunday. #}
{% macro is_weekend(local_time) -%}
    {{ adapter.dispatch('is_weekend')(local_time) }}
{%- endmacro %}

{% macro default__is_weekend(local_time) -%}
    extract(dayofweek from {{ local_time }}) in (1, 7)
{%- endmacro %}

{% macro postgres__is_weekend(local_time) -%}
    date_part('isodow', {{ local_time }}) >= 6
{%- endmacro %}


{# Days since a Monday in 1970 at a wall clock's reading. #}
{% macro days_since_monday(local_moment) -%}
    {{ dbt.datediff("cast('1970-01-05' as date)", "cast(" ~ local_moment ~ " as date)", 'day') }}
{%- endmacro %}


{# Seconds since midnight on the wall clock. #}
{% macro second_of_day(local_moment) -%}
    {{ seconds_between("cast(cast(" ~ local_moment ~ " as date) as timestamp)", local_moment) }}
{%- endmacro %}


{# True in office hours: Monday to Friday, from opening until closing. #}
{% macro is_business_time(local_moment) -%}
    (
        mod({{ days_since_monday(local_moment) }}, 7) < 5
        and {{ second_of_day(local_moment) }} >= {{ var('business_opens_hour') * 3600 }}
        and {{ second_of_day(local_moment) }} < {{ var('business_closes_hour') * 3600 }}
    )
{%- endmacro %}


{#
    Seconds of office hours since a Monday in 1970. Between two readings of one wall clock they are
    the difference, whatever nights, weekends and changes of the clock lie between.
#}
{% macro business_seconds(local_moment) -%}
    {%- set length = (var('business_closes_hour') - var('business_opens_hour')) * 3600 -%}
    (
        {{ length }} * (
            5 * floor({{ days_since_monday(local_moment) }} / 7.0)
            + least(mod({{ days_since_monday(local_moment) }}, 7), 5)
        )
        + case
            when mod({{ days_since_monday(local_moment) }}, 7) < 5
                then least(
                    greatest({{ second_of_day(local_moment) }} - {{ var('business_opens_hour') * 3600 }}, 0),
                    {{ length }}
                )
            else 0
        end
    )
{%- endmacro %}


{# The moment that this run scores at, UTC. #}
{% macro scoring_moment() -%}
    cast('{{ var("as_of") or run_started_at.isoformat() }}' as timestamp with time zone)
{%- endmacro %}


{# Later than any moment there is: the end of what has none. #}
{% macro end_of_time() -%}
    cast('9999-12-31 00:00:00+00' as timestamp with time zone)
{%- endmacro %}
