{#
    The features of leads, each at its moment: the one definition that training, batch scoring and
    the online path share.

    spine: a relation, or the name of a CTE around it, with lead_id and as_of, one row each.

    An event counts only if it occurred before as_of and was known before as_of. Windows are
    [as_of - n days, as_of), days of 24 hours. Intake attributes are known from the moment that
    the lead came in. Nothing here says who a person is: no name, address, language or birthday,
    and nothing that stands in for one. The stage of an opportunity and its value are left out as
    well: the CRM keeps only the latest, so that at an earlier moment they would tell the future.

    Gives lead_id, as_of, and one column a feature, of a type that feature_columns() names.
#}
{% macro lead_features(spine) %}
{%- set timeline = ref('int_lead_timeline').include(database=false) -%}
{%- set leads = ref('int_leads').include(database=false) -%}

with spine as (

    select
        lead_id,
        as_of,
        row_number() over (order by lead_id, as_of) as spine_id,
        {{ days_before(7, 'as_of') }} as as_of_minus_7d,
        {{ days_before(30, 'as_of') }} as as_of_minus_30d,
        {{ days_before(90, 'as_of') }} as as_of_minus_90d
    from {{ spine }}

),

timeline as (

    select * from {{ timeline }}

),

leads as (

    select * from {{ leads }}

),

visible_events as (

    select
        spine.spine_id,
        timeline.event_type,
        timeline.event_type = 'touch' as is_touch,
        timeline.channel,
        timeline.direction,
        timeline.outcome,
        timeline.duration_seconds,
        timeline.occurred_at,
        case
            when timeline.occurred_at >= spine.as_of_minus_7d then 7
            when timeline.occurred_at >= spine.as_of_minus_30d then 30
            when timeline.occurred_at >= spine.as_of_minus_90d then 90
        end as window_days
    from spine
    inner join timeline
        on
            spine.lead_id = timeline.lead_id
            and timeline.occurred_at < spine.as_of
            and timeline.known_at < spine.as_of

),

sequenced_events as (

    -- Each touch with the one before it, so that an answer can be told from a follow-up.
    select
        *,
        is_touch and direction = 'inbound' as is_inbound,
        is_touch and direction = 'outbound' as is_outbound,
        lag(direction) over touches_in_order as previous_direction,
        lag(occurred_at) over touches_in_order as previous_occurred_at,
        max(case when is_touch and direction = 'inbound' then occurred_at end)
            over (partition by spine_id, is_touch) as last_reply_at
    from visible_events
    window touches_in_order as (
        partition by spine_id, is_touch
        order by occurred_at, direction
    )

),

aggregated as (

    select
        spine_id,
        max(case when is_touch then occurred_at end) as last_touch_at,
        max(case when is_inbound then occurred_at end) as last_inbound_at,
        max(case when is_outbound then occurred_at end) as last_outbound_at,
        min(case when is_outbound then occurred_at end) as first_outbound_at,
        {%- for direction in ['inbound', 'outbound'] %}
        count(case when is_{{ direction }} and window_days <= 7 then 1 end)
            as {{ direction }}_count_7d,
        count(case when is_{{ direction }} and window_days <= 30 then 1 end)
            as {{ direction }}_count_30d,
        count(case when is_{{ direction }} and window_days <= 90 then 1 end)
            as {{ direction }}_count_90d,
        count(case when is_{{ direction }} then 1 end) as {{ direction }}_count_total,
        {%- for channel in ['sms', 'email', 'call'] %}
        count(case when is_{{ direction }} and channel = '{{ channel }}' and window_days <= 90 then 1 end)
            as {{ channel }}_{{ direction }}_count_90d,
        {%- endfor %}
        {%- endfor %}
        count(case when event_type = 'email_opened' and window_days <= 90 then 1 end)
            as email_open_count_90d,
        count(case when event_type = 'email_clicked' and window_days <= 90 then 1 end)
            as email_click_count_90d,
        count(case when is_inbound and previous_direction = 'outbound' then 1 end) as reply_count,
        count(case when is_outbound and (last_reply_at is null or occurred_at > last_reply_at) then 1 end)
            as touches_since_last_reply,
        count(case when is_touch and channel = 'call' and outcome = 'answered' then 1 end)
            as calls_answered_count,
        coalesce(sum(case when is_touch and channel = 'call' then duration_seconds end), 0)
            as talk_seconds_total,
        coalesce(
            sum(case when is_touch and channel = 'call' and window_days <= 90 then duration_seconds end), 0
        ) as talk_seconds_90d,
        avg(
            case
                when is_inbound and previous_direction = 'outbound'
                    then {{ seconds_between('previous_occurred_at', 'occurred_at') }}
            end
        ) as avg_lead_reply_seconds,
        avg(
            case
                when is_outbound and previous_direction = 'inbound'
                    then {{ seconds_between('previous_occurred_at', 'occurred_at') }}
            end
        ) as avg_team_response_seconds,
        count(case when event_type = 'appointment_booked' then 1 end) as appointments_booked_count,
        count(case when event_type = 'appointment_kept' then 1 end) as appointments_kept_count,
        count(case when event_type = 'appointment_no_show' then 1 end) as appointments_no_show_count,
        count(case when event_type = 'appointment_cancelled' then 1 end) as appointments_cancelled_count,
        max(case when event_type = 'appointment_booked' then occurred_at end) as last_booking_at,
        count(case when event_type = 'opportunity_created' then 1 end) as opportunities_created_count,
        count(case when event_type in ('opportunity_won', 'opportunity_lost') then 1 end)
            as opportunities_closed_count
    from sequenced_events
    group by spine_id

),

features as (

    select
        spine.lead_id,
        spine.as_of,
        {{ days_between('leads.created_at', 'spine.as_of') }} as days_since_created,
        {{ days_between('aggregated.last_touch_at', 'spine.as_of') }} as days_since_last_touch,
        {{ days_between('aggregated.last_inbound_at', 'spine.as_of') }} as days_since_last_inbound,
        {{ days_between('aggregated.last_outbound_at', 'spine.as_of') }} as days_since_last_outbound,
        {{ days_between('coalesce(aggregated.last_inbound_at, leads.created_at)', 'spine.as_of') }}
            as days_dormant,
        {%- for direction in ['inbound', 'outbound'] %}
        {%- for period in ['7d', '30d', '90d', 'total'] %}
        coalesce(aggregated.{{ direction }}_count_{{ period }}, 0) as {{ direction }}_count_{{ period }},
        {%- endfor %}
        {%- for channel in ['sms', 'email', 'call'] %}
        coalesce(aggregated.{{ channel }}_{{ direction }}_count_90d, 0)
            as {{ channel }}_{{ direction }}_count_90d,
        {%- endfor %}
        {%- endfor %}
        coalesce(aggregated.email_open_count_90d, 0) as email_open_count_90d,
        coalesce(aggregated.email_click_count_90d, 0) as email_click_count_90d,
        cast(aggregated.reply_count as double precision) / nullif(aggregated.outbound_count_total, 0)
            as reply_ratio,
        coalesce(aggregated.touches_since_last_reply, 0) as touches_since_last_reply,
        coalesce(aggregated.calls_answered_count, 0) as calls_answered_count,
        coalesce(aggregated.talk_seconds_total, 0) as talk_seconds_total,
        coalesce(aggregated.talk_seconds_90d, 0) as talk_seconds_90d,
        aggregated.avg_lead_reply_seconds / 3600 as avg_lead_reply_hours,
        aggregated.avg_team_response_seconds / 3600 as avg_team_response_hours,
        {{ seconds_between('leads.created_at', 'aggregated.first_outbound_at') }}
        / cast(3600 as double precision) as first_response_hours,
        coalesce(aggregated.appointments_booked_count, 0) as appointments_booked_count,
        coalesce(aggregated.appointments_kept_count, 0) as appointments_kept_count,
        coalesce(aggregated.appointments_no_show_count, 0) as appointments_no_show_count,
        coalesce(aggregated.appointments_cancelled_count, 0) as appointments_cancelled_count,
        coalesce(
            aggregated.appointments_booked_count
            - aggregated.appointments_kept_count
            - aggregated.appointments_no_show_count
            - aggregated.appointments_cancelled_count,
            0
        ) as appointments_pending_count,
        {{ days_between('aggregated.last_booking_at', 'spine.as_of') }} as days_since_last_booking,
        coalesce(aggregated.opportunities_created_count - aggregated.opportunities_closed_count, 0)
            as opportunities_open_count,
        leads.source,
        leads.lead_intent,
        leads.timeline,
        leads.property_type,
        leads.beds,
        leads.price_min_cents,
        leads.price_max_cents
    from spine
    left join aggregated on spine.spine_id = aggregated.spine_id
    left join leads on spine.lead_id = leads.lead_id and leads.created_at < spine.as_of

)

select
    lead_id,
    as_of,
    {%- for name, type in feature_columns().items() %}
    cast({{ name }} as {{ type }}) as {{ name }}{{ ',' if not loop.last }}
    {%- endfor %}
from features
{% endmacro %}


{# Every feature with its type, in the order of the tables. #}
{% macro feature_columns() -%}
    {%- set columns = {} -%}
    {%- for name in [
        'days_since_created', 'days_since_last_touch', 'days_since_last_inbound',
        'days_since_last_outbound', 'days_dormant'
    ] -%}
        {%- do columns.update({name: 'double precision'}) -%}
    {%- endfor -%}
    {%- for direction in ['inbound', 'outbound'] -%}
        {%- for period in ['7d', '30d', '90d', 'total'] -%}
            {%- do columns.update({direction ~ '_count_' ~ period: 'integer'}) -%}
        {%- endfor -%}
    {%- endfor -%}
    {%- for channel in ['sms', 'email', 'call'] -%}
        {%- for direction in ['inbound', 'outbound'] -%}
            {%- do columns.update({channel ~ '_' ~ direction ~ '_count_90d': 'integer'}) -%}
        {%- endfor -%}
    {%- endfor -%}
    {%- do columns.update({
        'email_open_count_90d': 'integer',
        'email_click_count_90d': 'integer',
        'reply_ratio': 'double precision',
        'touches_since_last_reply': 'integer',
        'calls_answered_count': 'integer',
        'talk_seconds_total': 'bigint',
        'talk_seconds_90d': 'bigint',
        'avg_lead_reply_hours': 'double precision',
        'avg_team_response_hours': 'double precision',
        'first_response_hours': 'double precision',
        'appointments_booked_count': 'integer',
        'appointments_kept_count': 'integer',
        'appointments_no_show_count': 'integer',
        'appointments_cancelled_count': 'integer',
        'appointments_pending_count': 'integer',
        'days_since_last_booking': 'double precision',
        'opportunities_open_count': 'integer',
        'source': 'text',
        'lead_intent': 'text',
        'timeline': 'text',
        'property_type': 'text',
        'beds': 'integer',
        'price_min_cents': 'bigint',
        'price_max_cents': 'bigint',
    }) -%}
    {{ return(columns) }}
{%- endmacro %}


{# The features as a list for a select, from the relation of that name. #}
{% macro feature_list(relation) -%}
    {%- for name in feature_columns() -%}
        {{ relation }}.{{ name }}{{ ",\n        " if not loop.last }}
    {%- endfor -%}
{%- endmacro %}
