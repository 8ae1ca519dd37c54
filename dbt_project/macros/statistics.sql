{#
    The ends of Wilson's score interval of a share, so many standard errors wide; 0 and 1 where
    there is nothing to count. Two of them make Newcombe's interval of a difference (Statistics in
    Medicine 17:873-890, method 10), as activation/sequential.py does it.
#}
{% macro wilson_low(successes, total, factor) -%}
    {{ wilson_end(successes, total, factor, '-', 0) }}
{%- endmacro %}


{% macro wilson_high(successes, total, factor) -%}
    {{ wilson_end(successes, total, factor, '+', 1) }}
{%- endmacro %}


{% macro wilson_end(successes, total, factor, sign, without_data) -%}
    {%- set n = 'nullif(cast(' ~ total ~ ' as double precision), 0)' -%}
    {%- set rate = '(' ~ successes ~ ' / ' ~ n ~ ')' -%}
    coalesce(
        (
            {{ rate }} + {{ factor }} * {{ factor }} / (2 * {{ n }})
            {{ sign }} {{ factor }} * sqrt(
                {{ rate }} * (1 - {{ rate }}) / {{ n }}
                + {{ factor }} * {{ factor }} / (4 * {{ n }} * {{ n }})
            )
        ) / (1 + {{ factor }} * {{ factor }} / {{ n }}),
        {{ without_data }}
    )
{%- endmacro %}


{#
    Standard errors of an interval that holds at every number of events, however often one looks:
    the two-sided normal mixture, as activation/sequential.py has it. Null without events.
#}
{% macro mixture_factor(events) -%}
    {%- set ratio = '(cast(nullif(' ~ events ~ ', 0) as double precision) / '
        ~ var('campaign_mixture_at') ~ ')' -%}
    {%- set level = var('campaign_alpha') -%}
    sqrt((1 + 1 / {{ ratio }}) * ln((1 + {{ ratio }}) / ({{ level }} * {{ level }})))
{%- endmacro %}


{# The lower end of Newcombe's interval; named by the columns' prefixes and the outcome. #}
{% macro difference_low(outcome) -%}
    send_{{ outcome }}_rate - holdout_{{ outcome }}_rate
    - sqrt(
        power(send_{{ outcome }}_rate - send_{{ outcome }}_low, 2)
        + power(holdout_{{ outcome }}_high - holdout_{{ outcome }}_rate, 2)
    )
{%- endmacro %}


{# Its upper end. #}
{% macro difference_high(outcome) -%}
    send_{{ outcome }}_rate - holdout_{{ outcome }}_rate
    + sqrt(
        power(send_{{ outcome }}_high - send_{{ outcome }}_rate, 2)
        + power(holdout_{{ outcome }}_rate - holdout_{{ outcome }}_low, 2)
    )
{%- endmacro %}


{# A share as a fraction of one; null where there is nothing to take a share of. #}
{% macro fraction(part, total) -%}
    cast({{ part }} as double precision) / nullif({{ total }}, 0)
{%- endmacro %}
