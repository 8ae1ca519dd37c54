{# Postgres-only helpers for staging: what people type, made comparable. Bad values become null. #}

{# Lower case, no blanks around; null if nothing is left. #}
{% macro clean_text(expression) -%}
    nullif(lower(trim({{ expression }})), '')
{%- endmacro %}


{% macro is_email(expression) -%}
    coalesce(
        {{ expression }} ~ '^[a-z0-9.!#$&*+/=?^_{|}~''-]+@([a-z0-9]([a-z0-9-]*[a-z0-9])?\.)+[a-z]{2,}$'
        and {{ expression }} !~ '(^\.|\.\.|\.@)',
        false
    )
{%- endmacro %}


{# The digits of a phone number as typed, without its extension. #}
{% macro phone_digits(expression) -%}
    regexp_replace(
        regexp_replace({{ expression }}, '\s*(x|ext)[.:]?\s*\d+\s*$', '', 'i'), '\D', '', 'g'
    )
{%- endmacro %}


{#
    E.164: an explicit + or 00 is believed; ten digits, or eleven from 1, are North American.
    digits: a column with the phone_digits of the expression, where they have been worked out.
#}
{% macro e164(expression, digits=none) -%}
    {%- set digits = digits or phone_digits(expression) -%}
    case
        when {{ expression }} ~ '^\s*\+' then '+' || {{ digits }}
        when {{ digits }} like '00%' then '+' || substr({{ digits }}, 3)
        when {{ digits }} like '1__________' then '+' || {{ digits }}
        when {{ digits }} like '__________' then '+1' || {{ digits }}
    end
{%- endmacro %}


{# A North American number has its own grammar; elsewhere only the length can be judged. #}
{% macro is_e164(expression) -%}
    coalesce(
        {{ expression }} ~ '^\+1[2-9]\d{2}[2-9]\d{6}$'
        or {{ expression }} ~ '^\+[2-9]\d{7,14}$',
        false
    )
{%- endmacro %}


{# An amount of money in whole units, as typed ($450,000), in cents. #}
{% macro cents(expression) -%}
    case
        when regexp_replace({{ expression }}, '[$,\s]', '', 'g') ~ '^\d{1,12}(\.\d+)?$'
            then cast(
                round(cast(regexp_replace({{ expression }}, '[$,\s]', '', 'g') as numeric) * 100)
                as bigint
            )
    end
{%- endmacro %}


{% macro small_number(expression) -%}
    case
        when {{ expression }} ~ '^\s*\d{1,3}(\.\d+)?\s*$'
            then cast(round(cast({{ expression }} as numeric)) as integer)
    end
{%- endmacro %}


{# An ISO 8601 date or time as a moment; without an offset it is UTC. #}
{% macro moment(expression) -%}
    case
        when {{ expression }} !~ '^\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])([T ]([01]\d|2[0-3]):[0-5]\d(:[0-5]\d(\.\d+)?)?(Z|[+-]\d{2}(:?\d{2})?)?)?$'
            then null
        when cast(substr({{ expression }}, 9, 2) as integer) > date_part(
            'day',
            make_date(
                cast(substr({{ expression }}, 1, 4) as integer),
                cast(substr({{ expression }}, 6, 2) as integer),
                1
            ) + interval '1 month - 1 day'
        ) then null
        when {{ expression }} ~ '([T ].*)(Z|[+-]\d{2}(:?\d{2})?)$'
            then cast({{ expression }} as timestamp with time zone)
        else cast({{ expression }} || ' UTC' as timestamp with time zone)
    end
{%- endmacro %}


{# A JSON value as an array, so that it can be unnested whatever it is. #}
{% macro json_array(expression) -%}
    case when jsonb_typeof({{ expression }}) = 'array' then {{ expression }} else '[]' end
{%- endmacro %}


{#
    sms, email or call; null for what is no touch in one of these. The usual names come first and
    others go by their parts, which takes longer than all else that is done to a message.
#}
{% macro touch_channel(message_type) -%}
    case
        when {{ message_type }} = 'TYPE_SMS' then 'sms'
        when {{ message_type }} = 'TYPE_EMAIL' then 'email'
        when {{ message_type }} = 'TYPE_CALL' then 'call'
        {%- for part in ['ACTIVITY', 'COMMENT', 'REVIEW', 'REACTION'] %}
        when strpos(upper({{ message_type }}), '{{ part }}') > 0 then null
        {%- endfor %}
        -- A voicemail has "email" in its name, and comes first.
        when strpos(upper({{ message_type }}), 'CALL') > 0 then 'call'
        when strpos(upper({{ message_type }}), 'VOICEMAIL') > 0 then 'call'
        when strpos(upper({{ message_type }}), 'EMAIL') > 0 then 'email'
        when strpos(upper({{ message_type }}), 'SMS') > 0 then 'sms'
    end
{%- endmacro %}


{# Seconds of a call: none is shorter than nothing, or longer than a day. #}
{% macro call_seconds(expression) -%}
    cast(least(greatest(coalesce({{ expression }}, 0), 0), 86400) as integer)
{%- endmacro %}


{# One vocabulary for how a call ended, over HighLevel's and Twilio's. #}
{% macro call_outcome(status, duration_seconds) -%}
    case
        when lower({{ status }}) ~ 'voice-?_?mail' then 'voicemail'
        when lower({{ status }}) in ('completed', 'answered', 'connected') and {{ duration_seconds }} > 0
            then 'answered'
        when lower({{ status }}) = 'busy' then 'busy'
        when lower({{ status }}) in ('failed', 'canceled', 'cancelled') then 'failed'
        else 'no_answer'
    end
{%- endmacro %}


{#
    What a message from a lead withdraws: 'channel' for a word or request about this channel, 'all'
    for a request not to be contacted, else null. A function of the database, because webhooks have
    to hear the same words.
#}
{% macro opt_out_scope(body) -%}
    ops.opt_out_scope({{ body }})
{%- endmacro %}
