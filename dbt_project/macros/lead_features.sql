{#
    The features of leads, each at its moment: the one definition that training, batch scoring and
    the online path share.

    spine: a relation, or the name of a CTE around it, with lead_id and as_of, one row each.

    An event counts only if it occurred before as_of and was known before as_of. Windows are
    [as_of - n days, as_of), days of 24 hours; only habits go by the clock on the location's wall.
    Intake attributes are known from the moment that the lead came in. Nothing here says who a
    person is: no name, address, language or birthday, and nothing that stands in for one. The
    stage of an opportunity and its value are left out as well, and so is the owner of the lead:
    the CRM keeps only the latest, so that at an earlier moment they would tell the future. The
    agent is the person who last wrote or called.

    Events are sorted once, and everything else is an aggregate over that one pass.

    Gives lead_id, as_of, and one column a feature, of a type that feature_columns() names.
#}
{% macro lead_features(spine) %}
{%- set timeline = ref('int_lead_timeline').include(database=false) -%}
{%- set leads = ref('int_leads').include(database=false) -%}
{%- set locations = ref('stg_ghl__locations').include(database=false) -%}
{%- set agent_days = ref('int_agent_days').include(database=false) -%}
{%- set intake = [
    'source', 'lead_intent', 'timeline', 'property_type', 'beds', 'price_min_cents', 'price_max_cents'
] -%}

with timeline as (

    select * from {{ timeline }}

),

leads as (

    select * from {{ leads }}

),

locations as (

    select * from {{ locations }}

),

agent_days as (

    select * from {{ agent_days }}

),

spine as (

    select
        points.lead_id,
        points.as_of,
        row_number() over (order by points.lead_id, points.as_of) as spine_id,
        {{ days_before(7, 'points.as_of') }} as as_of_minus_7d,
        {{ days_before(30, 'points.as_of') }} as as_of_minus_30d,
        {{ days_before(90, 'points.as_of') }} as as_of_minus_90d,
        leads.location_id,
        coalesce(locations.timezone, 'UTC') as timezone,
        {%- for name in ['created_at'] + intake %}
        case when leads.created_at < points.as_of then leads.{{ name }} end as {{ name }},
        {%- endfor %}
        case when leads.created_at < points.as_of then leads.location_id end as market
    from {{ spine }} as points
    left join leads on points.lead_id = leads.lead_id
    left join locations on leads.location_id = locations.location_id

),

visible_events as (

    select
        spine.spine_id,
        timeline.event_type,
        timeline.event_type = 'touch' as is_touch,
        timeline.event_type = 'touch' and timeline.direction = 'inbound' as is_inbound,
        timeline.event_type = 'touch' and timeline.direction = 'outbound' as is_outbound,
        timeline.channel,
        timeline.direction,
        timeline.outcome,
        timeline.duration_seconds,
        timeline.occurred_at,
        case
            when timeline.event_type = 'touch' and timeline.direction = 'outbound' and timeline.actor = 'agent'
                then timeline.agent_id
        end as agent_id,
        case
            when timeline.event_type = 'touch' and timeline.direction = 'inbound'
                then {{ local_time('timeline.occurred_at', 'spine.timezone') }}
        end as lead_local_time,
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
    where
        timeline.event_type in (
            'touch', 'email_opened', 'email_clicked',
            'appointment_booked', 'appointment_kept', 'appointment_no_show', 'appointment_cancelled',
            'opportunity_created', 'opportunity_won', 'opportunity_lost'
        )

),

sequenced_events as (

    -- Each touch with what went before it, so that an answer can be told from a follow-up, and a
    -- lead that came back from one that never left.
    select
        *,
        lag(direction) over touches_before as previous_direction,
        lag(occurred_at) over touches_before as previous_occurred_at,
        max(case when is_inbound then occurred_at end) over touches_before as previous_inbound_at,
        count(case when is_outbound then 1 end) over touches_before as outbound_count_before
    from visible_events
    window touches_before as (
        partition by spine_id, is_touch
        order by occurred_at, direction
        rows between unbounded preceding and 1 preceding
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
        count(case when is_{{ direction }} then 1 end) as {{ direction }}_count_total,
        {%- for days in [7, 30, 90] %}
        count(case when is_{{ direction }} and window_days <= {{ days }} then 1 end)
            as {{ direction }}_count_{{ days }}d,
        {%- for channel in ['sms', 'email', 'call'] %}
        count(
            case when is_{{ direction }} and window_days <= {{ days }} and channel = '{{ channel }}' then 1 end
        ) as {{ channel }}_{{ direction }}_count_{{ days }}d,
        {%- endfor %}
        {%- endfor %}
        {%- endfor %}
        max(case when event_type = 'email_opened' then occurred_at end) as last_open_at,
        count(case when event_type = 'email_opened' and window_days <= 90 then 1 end)
            as email_open_count_90d,
        count(case when event_type = 'email_clicked' and window_days <= 90 then 1 end)
            as email_click_count_90d,
        count(case when is_inbound and previous_direction = 'outbound' then 1 end) as reply_count,
        count(case when is_inbound and previous_direction = 'outbound' and window_days <= 90 then 1 end)
            as reply_count_90d,
        -- It only grows, so its greatest value is the one of the last message from the lead.
        max(case when is_inbound then outbound_count_before end) as outbound_count_before_last_reply,
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
            as opportunities_closed_count,
        count(agent_id) as agent_touch_count_total,
        count(case when window_days <= 90 then agent_id end) as agent_touch_count_90d,
        max(case when agent_id is not null then occurred_at end) as last_agent_touch_at,
        -- The latest agent without another pass: seconds since 1970 have ten digits from 2001 on.
        max(
            case when agent_id is not null then cast({{ epoch_seconds('occurred_at') }} as text) || agent_id end
        ) as last_agent_key,
        count(case when {{ hour_of('lead_local_time') }} >= 18 then 1 end) as inbound_evening_count,
        count(case when {{ is_weekend('lead_local_time') }} then 1 end) as inbound_weekend_count,
        count(
            case
                when
                    {{ hour_of('lead_local_time') }} >= 9
                    and {{ hour_of('lead_local_time') }} < 17
                    and not {{ is_weekend('lead_local_time') }}
                    then 1
            end
        ) as inbound_office_hours_count,
        max(
            case when is_inbound then {{ seconds_between('previous_inbound_at', 'occurred_at') }} end
        ) as longest_silence_seconds,
        count(
            case
                when is_inbound and {{ seconds_between('previous_inbound_at', 'occurred_at') }} > {{ 30 * 86400 }}
                    then 1
            end
        ) as returns_count,
        max(
            case
                when is_inbound and {{ seconds_between('previous_inbound_at', 'occurred_at') }} > {{ 30 * 86400 }}
                    then occurred_at
            end
        ) as last_return_at
    from sequenced_events
    group by spine_id

),

features as (

    select
        spine.lead_id,
        spine.as_of,
        {{ days_between('spine.created_at', 'spine.as_of') }} as days_since_created,
        {{ days_between('aggregated.last_touch_at', 'spine.as_of') }} as days_since_last_touch,
        {{ days_between('aggregated.last_inbound_at', 'spine.as_of') }} as days_since_last_inbound,
        {{ days_between('aggregated.last_outbound_at', 'spine.as_of') }} as days_since_last_outbound,
        {{ days_between('aggregated.last_open_at', 'spine.as_of') }} as days_since_last_open,
        {%- for direction in ['inbound', 'outbound'] %}
        coalesce(aggregated.{{ direction }}_count_total, 0) as {{ direction }}_count_total,
        {%- for days in [7, 30, 90] %}
        coalesce(aggregated.{{ direction }}_count_{{ days }}d, 0) as {{ direction }}_count_{{ days }}d,
        {%- for channel in ['sms', 'email', 'call'] %}
        coalesce(aggregated.{{ channel }}_{{ direction }}_count_{{ days }}d, 0)
            as {{ channel }}_{{ direction }}_count_{{ days }}d,
        {%- endfor %}
        {%- endfor %}
        {%- endfor %}
        coalesce(aggregated.email_open_count_90d, 0) as email_open_count_90d,
        coalesce(aggregated.email_click_count_90d, 0) as email_click_count_90d,
        {{ share('aggregated.email_open_count_90d', 'aggregated.email_outbound_count_90d') }}
            as email_open_ratio_90d,
        {{ share('aggregated.email_click_count_90d', 'aggregated.email_outbound_count_90d') }}
            as email_click_ratio_90d,
        {{ share('aggregated.reply_count', 'aggregated.outbound_count_total') }} as reply_ratio,
        {{ share('aggregated.reply_count_90d', 'aggregated.outbound_count_90d') }} as reply_ratio_90d,
        coalesce(
            aggregated.outbound_count_total - coalesce(aggregated.outbound_count_before_last_reply, 0), 0
        ) as touches_since_last_reply,
        coalesce(aggregated.calls_answered_count, 0) as calls_answered_count,
        coalesce(aggregated.talk_seconds_total, 0) as talk_seconds_total,
        coalesce(aggregated.talk_seconds_90d, 0) as talk_seconds_90d,
        aggregated.avg_lead_reply_seconds / 3600 as avg_lead_reply_hours,
        aggregated.avg_team_response_seconds / 3600 as avg_team_response_hours,
        {{ seconds_between('spine.created_at', 'aggregated.first_outbound_at') }}
        / cast(3600 as double precision) as first_response_hours,
        case
            when
                aggregated.last_outbound_at is null
                or aggregated.last_inbound_at > aggregated.last_outbound_at
                then
                    {{ seconds_between('aggregated.last_inbound_at', 'spine.as_of') }}
                    / cast(3600 as double precision)
        end as hours_awaiting_response,
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
        {{ share(
            'aggregated.appointments_no_show_count',
            '(aggregated.appointments_kept_count + aggregated.appointments_no_show_count)'
        ) }} as appointment_no_show_ratio,
        {{ days_between('aggregated.last_booking_at', 'spine.as_of') }} as days_since_last_booking,
        coalesce(aggregated.opportunities_created_count - aggregated.opportunities_closed_count, 0)
            as opportunities_open_count,
        {%- for name in intake %}
        spine.{{ name }},
        {%- endfor %}
        case
            when coalesce(spine.price_max_cents, spine.price_min_cents) < 25000000 then 'under 250k'
            when coalesce(spine.price_max_cents, spine.price_min_cents) < 40000000 then '250k to 400k'
            when coalesce(spine.price_max_cents, spine.price_min_cents) < 60000000 then '400k to 600k'
            when coalesce(spine.price_max_cents, spine.price_min_cents) < 100000000 then '600k to 1m'
            when coalesce(spine.price_max_cents, spine.price_min_cents) >= 100000000 then '1m and over'
        end as price_band,
        spine.market,
        coalesce(aggregated.agent_touch_count_90d, 0) as agent_touch_count_90d,
        {{ share('aggregated.agent_touch_count_total', 'aggregated.outbound_count_total') }}
            as agent_touch_share,
        {{ days_between('aggregated.last_agent_touch_at', 'spine.as_of') }} as days_since_last_agent_touch,
        case when aggregated.last_agent_key is not null then coalesce(agent_days.touches_7d, 0) end
            as agent_touches_7d,
        case when aggregated.last_agent_key is not null then coalesce(agent_days.leads_7d, 0) end
            as agent_leads_7d,
        {%- for habit in ['evening', 'weekend', 'office_hours'] %}
        {{ share('aggregated.inbound_' ~ habit ~ '_count', 'aggregated.inbound_count_total') }}
            as inbound_{{ habit }}_share,
        {%- endfor %}
        {{ days_between('coalesce(aggregated.last_inbound_at, spine.created_at)', 'spine.as_of') }}
            as days_dormant,
        aggregated.longest_silence_seconds / cast(86400 as double precision) as longest_silence_days,
        coalesce(aggregated.returns_count, 0) as returns_count,
        {{ days_between('aggregated.last_return_at', 'spine.as_of') }} as days_since_last_return
    from spine
    left join aggregated on spine.spine_id = aggregated.spine_id
    left join agent_days
        on
            spine.location_id = agent_days.location_id
            and substring(aggregated.last_agent_key from 11) = agent_days.agent_id
            and {{ local_date('spine.as_of', "'UTC'") }} = agent_days.day

)

select
    lead_id,
    as_of,
    {%- for name, type in feature_columns().items() %}
    cast({{ name }} as {{ type }}) as {{ name }}{{ ',' if not loop.last }}
    {%- endfor %}
from features
{% endmacro %}


{# A part of a whole, from 0 to 1; null where there is no whole. #}
{% macro share(part, whole) -%}
    cast({{ part }} as double precision) / nullif({{ whole }}, 0)
{%- endmacro %}
