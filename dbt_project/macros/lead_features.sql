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

    kept: whether to read the touches as int_feature_events holds them in order. Else they are put
    in order here, which one lead is asked for: what its events are this moment.
    carried: columns of the spine that are given as well, after as_of.
    with_agent: whether to give agent_id, the agent whose load the row has, which is no feature.

    Inbound touches, outbound ones and the rest are counted apart: a row then passes only what can
    count it. The spine is written out where it is read, not named once: PostgreSQL would compute
    a CTE that is read several times on one core.

    Gives lead_id, as_of, and one column a feature, of a type that feature_columns() names.
#}
{% macro lead_features(spine, kept=false, carried=[], with_agent=false) %}
{%- set leads = ref('int_leads').include(database=false) -%}
{%- set locations = ref('stg_ghl__locations').include(database=false) -%}
{%- set agent_days = ref('int_agent_days').include(database=false) -%}
{%- set intake = [
    'source', 'lead_intent', 'timeline', 'property_type', 'beds', 'price_min_cents', 'price_max_cents'
] -%}

with leads as (

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
        {%- for name in carried %}
        points.{{ name }} as carried_{{ name }},
        {%- endfor %}
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

{% if not kept -%}
timeline as (

    select * from {{ ref('int_lead_timeline').include(database=false) }}

),

visible_events as (

    select
        spine.lead_id,
        spine.as_of,
        {{ event_alone('timeline', 'spine.timezone') | indent(4) }}
    from spine
    inner join timeline
        on
            spine.lead_id = timeline.lead_id
            and timeline.occurred_at < spine.as_of
            and timeline.known_at < spine.as_of
    where timeline.event_type in ('touch', {{ feature_event_types() }})

),

touches_in_order as (

    {{ touches_in_order('visible_events', ['lead_id', 'as_of', "kind in ('inbound', 'outbound', 'touch')"]) }}

),

events as (

    select
        lead_id,
        as_of,
        {{ touch_columns() | indent(4) }}
    from touches_in_order

),

{% endif -%}

inbound as (

    select
        spine.lead_id,
        spine.as_of,
        {{ touch_counts('inbound') }},
        max(events.occurred_at) as last_inbound_at,
        {{ signs_of_interest("events.channel = 'call'") }},
        count(events.answered_after_seconds) as reply_count,
        {{ count_if(within(90) ~ ' and events.answered_after_seconds is not null') }} as reply_count_90d,
        avg(events.answered_after_seconds) as avg_lead_reply_seconds,
        -- It only grows, so its greatest value is the one of the last message from the lead.
        max(events.outbounds_before) as outbound_count_before_last_reply,
        {{ call_aggregates() }},
        {{ count_if('events.is_evening') }} as inbound_evening_count,
        {{ count_if('events.is_weekend') }} as inbound_weekend_count,
        {{ count_if('events.is_office_hours') }} as inbound_office_hours_count,
        max(events.silence_seconds) as longest_silence_seconds,
        {{ count_if('events.silence_seconds > ' ~ 30 * 86400) }} as returns_count,
        max(case when events.silence_seconds > {{ 30 * 86400 }} then events.occurred_at end) as last_return_at
    from {{ seen_events(spine, kept) }}
    where events.kind = 'inbound'
    group by spine.lead_id, spine.as_of

),

outbound as (

    select
        spine.lead_id,
        spine.as_of,
        {{ touch_counts('outbound') }},
        max(events.occurred_at) as last_outbound_at,
        min(events.occurred_at) as first_outbound_at,
        {{ signs_of_interest('events.is_answered') }},
        -- A call whose outcome nobody noted is not counted.
        {{ last_and_counts('unanswered_call', "events.channel = 'call' and not events.is_answered") }},
        avg(events.answered_after_seconds) as avg_team_response_seconds,
        {{ call_aggregates() }},
        count(events.agent_id) as agent_touch_count_total,
        {{ count_if(within(90) ~ ' and events.agent_id is not null') }} as agent_touch_count_90d,
        max(case when events.agent_id is not null then events.occurred_at end) as last_agent_touch_at,
        -- The latest agent without another pass: seconds since 1970 have ten digits from 2001 on.
        max(
            case
                when events.agent_id is not null
                    then cast({{ epoch_seconds('events.occurred_at') }} as text) || events.agent_id
            end
        ) as last_agent_key
    from {{ seen_events(spine, kept) }}
    where events.kind = 'outbound'
    group by spine.lead_id, spine.as_of

),

others as (

    select
        spine.lead_id,
        spine.as_of,
        -- Touches of which nothing says who made them.
        max(case when events.kind = 'touch' then events.occurred_at end) as last_other_touch_at,
        {{ signs_of_interest("events.kind = 'email_clicked' or events.is_answered") }},
        {{ call_aggregates() }},
        max(case when events.kind = 'email_opened' then events.occurred_at end) as last_open_at,
        {{ count_if("events.kind = 'email_opened' and " ~ within(90)) }} as email_open_count_90d,
        {{ count_if("events.kind = 'email_clicked' and " ~ within(90)) }} as email_click_count_90d,
        {%- for kind in ['booked', 'kept', 'no_show', 'cancelled'] %}
        {{ count_if("events.kind = 'appointment_" ~ kind ~ "'") }} as appointments_{{ kind }}_count,
        {%- endfor %}
        max(case when events.kind = 'appointment_booked' then events.occurred_at end) as last_booking_at,
        {{ count_if("events.kind = 'opportunity_created'") }} as opportunities_created_count,
        {{ count_if("events.kind in ('opportunity_won', 'opportunity_lost')") }} as opportunities_closed_count
    from {{ seen_events(spine, kept) }}
    where events.kind not in ('inbound', 'outbound')
    group by spine.lead_id, spine.as_of

),

features as (

    select
        spine.lead_id,
        spine.as_of,
        {%- for name in carried %}
        spine.carried_{{ name }} as {{ name }},
        {%- endfor %}
        {%- if with_agent %}
        substring(outbound.last_agent_key from 11) as agent_id,
        {%- endif %}
        {{ days_between('spine.created_at', 'spine.as_of') }} as days_since_created,
        {{ days_between(
            'greatest(inbound.last_inbound_at, outbound.last_outbound_at, others.last_other_touch_at)',
            'spine.as_of'
        ) }} as days_since_last_touch,
        {{ days_between('inbound.last_inbound_at', 'spine.as_of') }} as days_since_last_inbound,
        {{ days_between('outbound.last_outbound_at', 'spine.as_of') }} as days_since_last_outbound,
        {{ days_between('others.last_open_at', 'spine.as_of') }} as days_since_last_open,
        {{ days_between(
            'greatest(inbound.last_inbound_at, outbound.last_interest_at, others.last_interest_at)',
            'spine.as_of'
        ) }} as days_since_last_engagement,
        {{ days_between(
            'greatest(inbound.last_interest_at, outbound.last_interest_at, others.last_interest_at)',
            'spine.as_of'
        ) }} as days_since_last_call_or_click,
        {%- for direction in ['inbound', 'outbound'] %}
        coalesce({{ direction }}.{{ direction }}_count_total, 0) as {{ direction }}_count_total,
        {%- for days in [7, 30, 90] %}
        coalesce({{ direction }}.{{ direction }}_count_{{ days }}d, 0) as {{ direction }}_count_{{ days }}d,
        {%- for channel in ['sms', 'email', 'call'] %}
        coalesce({{ direction }}.{{ channel }}_{{ direction }}_count_{{ days }}d, 0)
            as {{ channel }}_{{ direction }}_count_{{ days }}d,
        {%- endfor %}
        {%- endfor %}
        {%- endfor %}
        {%- for days in [7, 30] %}
        coalesce(inbound.inbound_count_{{ days }}d, 0)
        + coalesce(outbound.interest_count_{{ days }}d, 0)
        + coalesce(others.interest_count_{{ days }}d, 0) as engagement_count_{{ days }}d,
        {%- endfor %}
        {{ over_all('interest_count_30d') }} as call_or_click_count_30d,
        coalesce(others.email_open_count_90d, 0) as email_open_count_90d,
        coalesce(others.email_click_count_90d, 0) as email_click_count_90d,
        {{ share('coalesce(others.email_open_count_90d, 0)', 'outbound.email_outbound_count_90d') }}
            as email_open_ratio_90d,
        {{ share('coalesce(others.email_click_count_90d, 0)', 'outbound.email_outbound_count_90d') }}
            as email_click_ratio_90d,
        {{ share('coalesce(inbound.reply_count, 0)', 'outbound.outbound_count_total') }} as reply_ratio,
        {{ share('coalesce(inbound.reply_count_90d, 0)', 'outbound.outbound_count_90d') }} as reply_ratio_90d,
        coalesce(
            outbound.outbound_count_total - coalesce(inbound.outbound_count_before_last_reply, 0), 0
        ) as touches_since_last_reply,
        {{ over_all('calls_answered_count') }} as calls_answered_count,
        {%- for days in [7, 30] %}
        coalesce(outbound.unanswered_call_count_{{ days }}d, 0) as calls_unanswered_count_{{ days }}d,
        {%- endfor %}
        {{ days_between('outbound.last_unanswered_call_at', 'spine.as_of') }}
            as days_since_last_unanswered_call,
        {{ over_all('talk_seconds_total') }} as talk_seconds_total,
        {{ over_all('talk_seconds_90d') }} as talk_seconds_90d,
        inbound.avg_lead_reply_seconds / 3600 as avg_lead_reply_hours,
        outbound.avg_team_response_seconds / 3600 as avg_team_response_hours,
        {{ seconds_between('spine.created_at', 'outbound.first_outbound_at') }}
        / cast(3600 as double precision) as first_response_hours,
        case
            when
                outbound.last_outbound_at is null
                or inbound.last_inbound_at > outbound.last_outbound_at
                then
                    {{ seconds_between('inbound.last_inbound_at', 'spine.as_of') }}
                    / cast(3600 as double precision)
        end as hours_awaiting_response,
        coalesce(others.appointments_booked_count, 0) as appointments_booked_count,
        coalesce(others.appointments_kept_count, 0) as appointments_kept_count,
        coalesce(others.appointments_no_show_count, 0) as appointments_no_show_count,
        coalesce(others.appointments_cancelled_count, 0) as appointments_cancelled_count,
        coalesce(
            others.appointments_booked_count
            - others.appointments_kept_count
            - others.appointments_no_show_count
            - others.appointments_cancelled_count,
            0
        ) as appointments_pending_count,
        {{ share(
            'others.appointments_no_show_count',
            '(others.appointments_kept_count + others.appointments_no_show_count)'
        ) }} as appointment_no_show_ratio,
        {{ days_between('others.last_booking_at', 'spine.as_of') }} as days_since_last_booking,
        coalesce(others.opportunities_created_count - others.opportunities_closed_count, 0)
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
        coalesce(outbound.agent_touch_count_90d, 0) as agent_touch_count_90d,
        {{ share('outbound.agent_touch_count_total', 'outbound.outbound_count_total') }}
            as agent_touch_share,
        {{ days_between('outbound.last_agent_touch_at', 'spine.as_of') }} as days_since_last_agent_touch,
        case when outbound.last_agent_key is not null then coalesce(agent_days.touches_7d, 0) end
            as agent_touches_7d,
        case when outbound.last_agent_key is not null then coalesce(agent_days.leads_7d, 0) end
            as agent_leads_7d,
        {%- for habit in ['evening', 'weekend', 'office_hours'] %}
        {{ share('inbound.inbound_' ~ habit ~ '_count', 'inbound.inbound_count_total') }}
            as inbound_{{ habit }}_share,
        {%- endfor %}
        {{ days_between('coalesce(inbound.last_inbound_at, spine.created_at)', 'spine.as_of') }}
            as days_dormant,
        inbound.longest_silence_seconds / cast(86400 as double precision) as longest_silence_days,
        coalesce(inbound.returns_count, 0) as returns_count,
        {{ days_between('inbound.last_return_at', 'spine.as_of') }} as days_since_last_return
    from spine
    {%- for part in ['inbound', 'outbound', 'others'] %}
    left join {{ part }} on spine.lead_id = {{ part }}.lead_id and spine.as_of = {{ part }}.as_of
    {%- endfor %}
    left join agent_days
        on
            spine.location_id = agent_days.location_id
            and substring(outbound.last_agent_key from 11) = agent_days.agent_id
            and {{ local_date('spine.as_of', "'UTC'") }} = agent_days.day

)

select
    lead_id,
    as_of,
    {%- for name in carried %}
    {{ name }},
    {%- endfor %}
    {%- if with_agent %}
    agent_id,
    {%- endif %}
    {%- for name, type in feature_columns().items() %}
    cast({{ name }} as {{ type }}) as {{ name }}{{ ',' if not loop.last }}
    {%- endfor %}
from features
{% endmacro %}


{#
    The spine beside its events. Events as they are kept hold for some moments only: a touch that
    became known late has others follow it from then on. Where they are not kept, "offset 0" has the
    planner compute the moments before as_of once, not anew in each of some forty conditions.
#}
{% macro seen_events(spine, kept) -%}
    (
        select
            points.lead_id,
            points.as_of,
            {{ days_before(7, 'points.as_of') }} as as_of_minus_7d,
            {{ days_before(30, 'points.as_of') }} as as_of_minus_30d,
            {{ days_before(90, 'points.as_of') }} as as_of_minus_90d
        from {{ spine }} as points
        {%- if not kept %}
        offset 0
        {%- endif %}
    ) as spine
    {%- if kept %}
    inner join {{ ref('int_feature_events').include(database=false) }} as events
        on
            spine.lead_id = events.lead_id
            and events.occurred_at < spine.as_of
            and events.known_at < spine.as_of
            and events.known_until >= spine.as_of
    {%- else %}
    inner join events on spine.lead_id = events.lead_id and spine.as_of = events.as_of
    {%- endif %}
{%- endmacro %}


{% macro within(days) -%}
    events.occurred_at >= spine.as_of_minus_{{ days }}d
{%- endmacro %}


{# Touches of one direction: all, by window, and by channel within it. #}
{% macro touch_counts(direction) -%}
    count(*) as {{ direction }}_count_total
    {%- for days in [7, 30, 90] %},
        {{ count_if(within(days)) }} as {{ direction }}_count_{{ days }}d
    {%- for channel in ['sms', 'email', 'call'] %},
        {{ count_if(within(days) ~ " and events.channel = '" ~ channel ~ "'") }}
            as {{ channel }}_{{ direction }}_count_{{ days }}d
    {%- endfor %}
    {%- endfor %}
{%- endmacro %}


{% macro call_aggregates() -%}
        {{ count_if('events.is_answered') }} as calls_answered_count,
        sum(events.call_seconds) as talk_seconds_total,
        sum(case when {{ within(90) }} then events.call_seconds end) as talk_seconds_90d
{%- endmacro %}


{#
    What a lead does beside writing: it calls, picks up, or clicks. Who is about to act does this
    rather than write, so that silence in writing alone would be taken for silence.
#}
{% macro signs_of_interest(condition) -%}
    {{ last_and_counts('interest', condition) }}
{%- endmacro %}


{# When something last was so, and how often lately: last_<name>_at, <name>_count_7d and _30d. #}
{% macro last_and_counts(name, condition) -%}
        max(case when {{ condition }} then events.occurred_at end) as last_{{ name }}_at
    {%- for days in [7, 30] %},
        {{ count_if(within(days) ~ ' and (' ~ condition ~ ')') }} as {{ name }}_count_{{ days }}d
    {%- endfor %}
{%- endmacro %}


{# What is counted in each of the three parts. #}
{% macro over_all(name) -%}
    coalesce(inbound.{{ name }}, 0) + coalesce(outbound.{{ name }}, 0) + coalesce(others.{{ name }}, 0)
{%- endmacro %}


{# A part of a whole, from 0 to 1; null where there is no whole. #}
{% macro share(part, whole) -%}
    cast({{ part }} as double precision) / nullif({{ whole }}, 0)
{%- endmacro %}
