{# Every feature with its type, family by family, in the order of the tables. #}
{% macro feature_columns() -%}
    {%- set columns = {
        'days_since_created': 'double precision',
        'days_since_last_touch': 'double precision',
        'days_since_last_inbound': 'double precision',
        'days_since_last_outbound': 'double precision',
        'days_since_last_open': 'double precision',
        'days_since_last_engagement': 'double precision',
        'days_since_last_call_or_click': 'double precision',
    } -%}
    {%- for direction in ['inbound', 'outbound'] -%}
        {%- for period in ['7d', '30d', '90d', 'total'] -%}
            {%- do columns.update({direction ~ '_count_' ~ period: 'integer'}) -%}
        {%- endfor -%}
    {%- endfor -%}
    {%- for channel in ['sms', 'email', 'call'] -%}
        {%- for direction in ['inbound', 'outbound'] -%}
            {%- for period in ['7d', '30d', '90d'] -%}
                {%- do columns.update({channel ~ '_' ~ direction ~ '_count_' ~ period: 'integer'}) -%}
            {%- endfor -%}
        {%- endfor -%}
    {%- endfor -%}
    {%- do columns.update({
        'engagement_count_7d': 'integer',
        'engagement_count_30d': 'integer',
        'call_or_click_count_30d': 'integer',
        'email_open_count_90d': 'integer',
        'email_click_count_90d': 'integer',
        'email_open_ratio_90d': 'double precision',
        'email_click_ratio_90d': 'double precision',
        'reply_ratio': 'double precision',
        'reply_ratio_90d': 'double precision',
        'touches_since_last_reply': 'integer',
        'calls_answered_count': 'integer',
        'calls_unanswered_count_7d': 'integer',
        'calls_unanswered_count_30d': 'integer',
        'days_since_last_unanswered_call': 'double precision',
        'talk_seconds_total': 'bigint',
        'talk_seconds_90d': 'bigint',
        'avg_lead_reply_hours': 'double precision',
        'avg_team_response_hours': 'double precision',
        'first_response_hours': 'double precision',
        'hours_awaiting_response': 'double precision',
        'appointments_booked_count': 'integer',
        'appointments_kept_count': 'integer',
        'appointments_no_show_count': 'integer',
        'appointments_cancelled_count': 'integer',
        'appointments_pending_count': 'integer',
        'appointment_no_show_ratio': 'double precision',
        'days_since_last_booking': 'double precision',
        'opportunities_open_count': 'integer',
        'source': 'text',
        'lead_intent': 'text',
        'timeline': 'text',
        'property_type': 'text',
        'beds': 'integer',
        'price_min_cents': 'bigint',
        'price_max_cents': 'bigint',
        'price_band': 'text',
        'market': 'text',
        'agent_touch_count_90d': 'integer',
        'agent_touch_share': 'double precision',
        'days_since_last_agent_touch': 'double precision',
        'agent_touches_7d': 'integer',
        'agent_leads_7d': 'integer',
        'inbound_evening_share': 'double precision',
        'inbound_weekend_share': 'double precision',
        'inbound_office_hours_share': 'double precision',
        'days_dormant': 'double precision',
        'longest_silence_days': 'double precision',
        'returns_count': 'integer',
        'days_since_last_return': 'double precision',
    }) -%}
    {{ return(columns) }}
{%- endmacro %}


{# The features as a list for a select, from the relation of that name. #}
{% macro feature_list(relation) -%}
    {%- for name in feature_columns() -%}
        {{ relation }}.{{ name }}{{ ",\n        " if not loop.last }}
    {%- endfor -%}
{%- endmacro %}
