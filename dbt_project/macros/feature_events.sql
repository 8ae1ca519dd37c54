{#
    What features read of an event: what it is, and of a touch what it followed. Once kept per lead
    (int_feature_events), for many leads at once; and once made on the fly, for one lead whose
    events may have changed since. Both are these macros, and a test compares their features.
#}


{# The types of event that features count, beside touches, for a condition. #}
{% macro feature_event_types() -%}
    'email_opened', 'email_clicked',
        'appointment_booked', 'appointment_kept', 'appointment_no_show', 'appointment_cancelled',
        'opportunity_created', 'opportunity_won', 'opportunity_lost'
{%- endmacro %}


{#
    Columns of an event on its own.

    event: the alias of a row of int_lead_timeline.
    timezone: an expression, the IANA name of the lead's location's.
#}
{% macro event_alone(event, timezone) -%}
    case
        when {{ event }}.event_type != 'touch' then {{ event }}.event_type
        when {{ event }}.direction in ('inbound', 'outbound') then {{ event }}.direction
        else 'touch'
    end as kind,
    {{ event }}.channel,
    {{ event }}.direction,
    {{ event }}.occurred_at,
    {{ row_digest([event ~ '.event_id']) }} as event_digest,
    case when {{ event }}.event_type = 'touch' and {{ event }}.channel = 'call' then {{ event }}.duration_seconds end
        as call_seconds,
    {{ event }}.event_type = 'touch' and {{ event }}.channel = 'call' and {{ event }}.outcome = 'answered'
        as is_answered,
    case
        when {{ event }}.event_type = 'touch' and {{ event }}.direction = 'outbound' and {{ event }}.actor = 'agent'
            then {{ event }}.agent_id
    end as agent_id,
    case
        when {{ event }}.event_type = 'touch' and {{ event }}.direction = 'inbound'
            then {{ local_time(event ~ '.occurred_at', timezone) }}
    end as lead_local_time
{%- endmacro %}


{#
    The same with what went before it, so that an answer can be told from a follow-up, and a lead
    that came back from one that never left. To be followed by touch_columns().

    partition: the columns that keep apart what is not one sequence.
#}
{% macro touches_in_order(relation, partition) -%}
    select
        *,
        lag(direction) over touches_before as previous_direction,
        lag(occurred_at) over touches_before as previous_occurred_at,
        max(case when kind = 'inbound' then occurred_at end) over touches_before as previous_inbound_at,
        count(case when kind = 'outbound' then 1 end) over touches_before as outbounds_before
    from {{ relation }}
    window touches_before as (
        partition by {{ partition | join(', ') }}
        order by {{ touch_order() | join(', ') }}
        rows between unbounded preceding and 1 preceding
    )
{%- endmacro %}


{# Of touches in one second the lead's come first; the rest only makes the order certain. #}
{% macro touch_order() -%}
    {{ return(['occurred_at', 'direction', 'event_digest']) }}
{%- endmacro %}


{# Columns of a touch that touches_in_order() gave; of other events all but the first are null. #}
{% macro touch_columns() -%}
    kind,
    channel,
    occurred_at,
    event_digest,
    call_seconds,
    is_answered,
    agent_id,
    case
        when
            (kind = 'inbound' and previous_direction = 'outbound')
            or (kind = 'outbound' and previous_direction = 'inbound')
            then {{ seconds_between('previous_occurred_at', 'occurred_at') }}
    end as answered_after_seconds,
    case when kind = 'inbound' then {{ seconds_between('previous_inbound_at', 'occurred_at') }} end
        as silence_seconds,
    cast(case when kind = 'inbound' then outbounds_before end as integer) as outbounds_before,
    {{ hour_of('lead_local_time') }} >= 18 as is_evening,
    {{ is_weekend('lead_local_time') }} as is_weekend,
    {{ hour_of('lead_local_time') }} >= 9
    and {{ hour_of('lead_local_time') }} < 17
    and not {{ is_weekend('lead_local_time') }} as is_office_hours
{%- endmacro %}


{# How many rows meet a condition: the faster way where an engine has one. #}
{% macro count_if(condition) -%}
    {{ adapter.dispatch('count_if')(condition) }}
{%- endmacro %}

{% macro default__count_if(condition) -%}
    count(case when {{ condition }} then 1 end)
{%- endmacro %}

{% macro postgres__count_if(condition) -%}
    count(*) filter (where {{ condition }})
{%- endmacro %}
