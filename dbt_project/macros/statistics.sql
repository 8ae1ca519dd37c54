{#
    The ends of Wilson's 95 % score interval of a share; 0 and 1 where there is nothing to count.
    Two of them make Newcombe's interval of a difference (Statistics in Medicine 17:873-890,
    method 10), as activation/measure.py does it.
#}
{% macro wilson_low(successes, total) -%}
    {{ wilson_end(successes, total, '-', 0) }}
{%- endmacro %}


{% macro wilson_high(successes, total) -%}
    {{ wilson_end(successes, total, '+', 1) }}
{%- endmacro %}


{% macro wilson_end(successes, total, sign, without_data) -%}
    {%- set z = 1.959964 -%}
    {%- set n = 'nullif(cast(' ~ total ~ ' as double precision), 0)' -%}
    {%- set rate = '(' ~ successes ~ ' / ' ~ n ~ ')' -%}
    coalesce(
        (
            {{ rate }} + {{ z * z }} / (2 * {{ n }})
            {{ sign }} {{ z }} * sqrt(
                {{ rate }} * (1 - {{ rate }}) / {{ n }} + {{ z * z }} / (4 * {{ n }} * {{ n }})
            )
        ) / (1 + {{ z * z }} / {{ n }}),
        {{ without_data }}
    )
{%- endmacro %}


{# A share as a fraction of one; null where there is nothing to take a share of. #}
{% macro fraction(part, total) -%}
    cast({{ part }} as double precision) / nullif({{ total }}, 0)
{%- endmacro %}
