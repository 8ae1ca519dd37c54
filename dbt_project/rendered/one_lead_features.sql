-- Compiled from analyses/one_lead_features.sql: do not edit. The features of one lead at one
-- moment, with the bound parameters lead_id (text) and as_of (timestamptz). Gives one row:
-- lead_id, as_of, and the features of marts.lead_features.
with one_lead as (
    select
        cast(%(lead_id)s as text) as lead_id,
        cast(%(as_of)s as timestamp with time zone) as as_of
),

features as (
    with timeline as (
    select * from "intermediate"."int_lead_timeline"
),

leads as (
    select * from "intermediate"."int_leads"
),

locations as (
    select * from "staging"."stg_ghl__locations"
),

agent_days as (
    select * from "intermediate"."int_agent_days"
),

spine as (
    select
        points.lead_id,
        points.as_of,
        row_number() over (order by points.lead_id, points.as_of) as spine_id,
    points.as_of + ((interval '1 hour') * (-168))
 as as_of_minus_7d,
    points.as_of + ((interval '1 hour') * (-720))
 as as_of_minus_30d,
    points.as_of + ((interval '1 hour') * (-2160))
 as as_of_minus_90d,
        leads.location_id,
        coalesce(locations.timezone, 'UTC') as timezone,
        case when leads.created_at < points.as_of then leads.created_at end as created_at,
        case when leads.created_at < points.as_of then leads.source end as source,
        case when leads.created_at < points.as_of then leads.lead_intent end as lead_intent,
        case when leads.created_at < points.as_of then leads.timeline end as timeline,
        case when leads.created_at < points.as_of then leads.property_type end as property_type,
        case when leads.created_at < points.as_of then leads.beds end as beds,
        case when leads.created_at < points.as_of then leads.price_min_cents end as price_min_cents,
        case when leads.created_at < points.as_of then leads.price_max_cents end as price_max_cents,
        case when leads.created_at < points.as_of then leads.location_id end as market
    from one_lead as points
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
                then cast(timeline.occurred_at at time zone spine.timezone as timestamp)
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
        count(case when is_inbound then 1 end) as inbound_count_total,
        count(case when is_inbound and window_days <= 7 then 1 end)
            as inbound_count_7d,
        count(
            case when is_inbound and window_days <= 7 and channel = 'sms' then 1 end
        ) as sms_inbound_count_7d,
        count(
            case when is_inbound and window_days <= 7 and channel = 'email' then 1 end
        ) as email_inbound_count_7d,
        count(
            case when is_inbound and window_days <= 7 and channel = 'call' then 1 end
        ) as call_inbound_count_7d,
        count(case when is_inbound and window_days <= 30 then 1 end)
            as inbound_count_30d,
        count(
            case when is_inbound and window_days <= 30 and channel = 'sms' then 1 end
        ) as sms_inbound_count_30d,
        count(
            case when is_inbound and window_days <= 30 and channel = 'email' then 1 end
        ) as email_inbound_count_30d,
        count(
            case when is_inbound and window_days <= 30 and channel = 'call' then 1 end
        ) as call_inbound_count_30d,
        count(case when is_inbound and window_days <= 90 then 1 end)
            as inbound_count_90d,
        count(
            case when is_inbound and window_days <= 90 and channel = 'sms' then 1 end
        ) as sms_inbound_count_90d,
        count(
            case when is_inbound and window_days <= 90 and channel = 'email' then 1 end
        ) as email_inbound_count_90d,
        count(
            case when is_inbound and window_days <= 90 and channel = 'call' then 1 end
        ) as call_inbound_count_90d,
        count(case when is_outbound then 1 end) as outbound_count_total,
        count(case when is_outbound and window_days <= 7 then 1 end)
            as outbound_count_7d,
        count(
            case when is_outbound and window_days <= 7 and channel = 'sms' then 1 end
        ) as sms_outbound_count_7d,
        count(
            case when is_outbound and window_days <= 7 and channel = 'email' then 1 end
        ) as email_outbound_count_7d,
        count(
            case when is_outbound and window_days <= 7 and channel = 'call' then 1 end
        ) as call_outbound_count_7d,
        count(case when is_outbound and window_days <= 30 then 1 end)
            as outbound_count_30d,
        count(
            case when is_outbound and window_days <= 30 and channel = 'sms' then 1 end
        ) as sms_outbound_count_30d,
        count(
            case when is_outbound and window_days <= 30 and channel = 'email' then 1 end
        ) as email_outbound_count_30d,
        count(
            case when is_outbound and window_days <= 30 and channel = 'call' then 1 end
        ) as call_outbound_count_30d,
        count(case when is_outbound and window_days <= 90 then 1 end)
            as outbound_count_90d,
        count(
            case when is_outbound and window_days <= 90 and channel = 'sms' then 1 end
        ) as sms_outbound_count_90d,
        count(
            case when is_outbound and window_days <= 90 and channel = 'email' then 1 end
        ) as email_outbound_count_90d,
        count(
            case when is_outbound and window_days <= 90 and channel = 'call' then 1 end
        ) as call_outbound_count_90d,
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
                    then cast(date_part('epoch', occurred_at - previous_occurred_at) as bigint)
            end
        ) as avg_lead_reply_seconds,
        avg(
            case
                when is_outbound and previous_direction = 'inbound'
                    then cast(date_part('epoch', occurred_at - previous_occurred_at) as bigint)
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
            case when agent_id is not null then cast(cast(date_part('epoch', occurred_at - cast('1970-01-01 00:00:00+00' as timestamp with time zone)) as bigint) as text) || agent_id end
        ) as last_agent_key,
        count(case when date_part('hour', lead_local_time) >= 18 then 1 end) as inbound_evening_count,
        count(case when date_part('isodow', lead_local_time) >= 6 then 1 end) as inbound_weekend_count,
        count(
            case
                when
                    date_part('hour', lead_local_time) >= 9
                    and date_part('hour', lead_local_time) < 17
                    and not date_part('isodow', lead_local_time) >= 6
                    then 1
            end
        ) as inbound_office_hours_count,
        max(
            case when is_inbound then cast(date_part('epoch', occurred_at - previous_inbound_at) as bigint) end
        ) as longest_silence_seconds,
        count(
            case
                when is_inbound and cast(date_part('epoch', occurred_at - previous_inbound_at) as bigint) > 2592000
                    then 1
            end
        ) as returns_count,
        max(
            case
                when is_inbound and cast(date_part('epoch', occurred_at - previous_inbound_at) as bigint) > 2592000
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
        cast(date_part('epoch', spine.as_of - spine.created_at) as bigint) / cast(86400 as double precision) as days_since_created,
        cast(date_part('epoch', spine.as_of - aggregated.last_touch_at) as bigint) / cast(86400 as double precision) as days_since_last_touch,
        cast(date_part('epoch', spine.as_of - aggregated.last_inbound_at) as bigint) / cast(86400 as double precision) as days_since_last_inbound,
        cast(date_part('epoch', spine.as_of - aggregated.last_outbound_at) as bigint) / cast(86400 as double precision) as days_since_last_outbound,
        cast(date_part('epoch', spine.as_of - aggregated.last_open_at) as bigint) / cast(86400 as double precision) as days_since_last_open,
        coalesce(aggregated.inbound_count_total, 0) as inbound_count_total,
        coalesce(aggregated.inbound_count_7d, 0) as inbound_count_7d,
        coalesce(aggregated.sms_inbound_count_7d, 0)
            as sms_inbound_count_7d,
        coalesce(aggregated.email_inbound_count_7d, 0)
            as email_inbound_count_7d,
        coalesce(aggregated.call_inbound_count_7d, 0)
            as call_inbound_count_7d,
        coalesce(aggregated.inbound_count_30d, 0) as inbound_count_30d,
        coalesce(aggregated.sms_inbound_count_30d, 0)
            as sms_inbound_count_30d,
        coalesce(aggregated.email_inbound_count_30d, 0)
            as email_inbound_count_30d,
        coalesce(aggregated.call_inbound_count_30d, 0)
            as call_inbound_count_30d,
        coalesce(aggregated.inbound_count_90d, 0) as inbound_count_90d,
        coalesce(aggregated.sms_inbound_count_90d, 0)
            as sms_inbound_count_90d,
        coalesce(aggregated.email_inbound_count_90d, 0)
            as email_inbound_count_90d,
        coalesce(aggregated.call_inbound_count_90d, 0)
            as call_inbound_count_90d,
        coalesce(aggregated.outbound_count_total, 0) as outbound_count_total,
        coalesce(aggregated.outbound_count_7d, 0) as outbound_count_7d,
        coalesce(aggregated.sms_outbound_count_7d, 0)
            as sms_outbound_count_7d,
        coalesce(aggregated.email_outbound_count_7d, 0)
            as email_outbound_count_7d,
        coalesce(aggregated.call_outbound_count_7d, 0)
            as call_outbound_count_7d,
        coalesce(aggregated.outbound_count_30d, 0) as outbound_count_30d,
        coalesce(aggregated.sms_outbound_count_30d, 0)
            as sms_outbound_count_30d,
        coalesce(aggregated.email_outbound_count_30d, 0)
            as email_outbound_count_30d,
        coalesce(aggregated.call_outbound_count_30d, 0)
            as call_outbound_count_30d,
        coalesce(aggregated.outbound_count_90d, 0) as outbound_count_90d,
        coalesce(aggregated.sms_outbound_count_90d, 0)
            as sms_outbound_count_90d,
        coalesce(aggregated.email_outbound_count_90d, 0)
            as email_outbound_count_90d,
        coalesce(aggregated.call_outbound_count_90d, 0)
            as call_outbound_count_90d,
        coalesce(aggregated.email_open_count_90d, 0) as email_open_count_90d,
        coalesce(aggregated.email_click_count_90d, 0) as email_click_count_90d,
        cast(aggregated.email_open_count_90d as double precision) / nullif(aggregated.email_outbound_count_90d, 0)
            as email_open_ratio_90d,
        cast(aggregated.email_click_count_90d as double precision) / nullif(aggregated.email_outbound_count_90d, 0)
            as email_click_ratio_90d,
        cast(aggregated.reply_count as double precision) / nullif(aggregated.outbound_count_total, 0) as reply_ratio,
        cast(aggregated.reply_count_90d as double precision) / nullif(aggregated.outbound_count_90d, 0) as reply_ratio_90d,
        coalesce(
            aggregated.outbound_count_total - coalesce(aggregated.outbound_count_before_last_reply, 0), 0
        ) as touches_since_last_reply,
        coalesce(aggregated.calls_answered_count, 0) as calls_answered_count,
        coalesce(aggregated.talk_seconds_total, 0) as talk_seconds_total,
        coalesce(aggregated.talk_seconds_90d, 0) as talk_seconds_90d,
        aggregated.avg_lead_reply_seconds / 3600 as avg_lead_reply_hours,
        aggregated.avg_team_response_seconds / 3600 as avg_team_response_hours,
        cast(date_part('epoch', aggregated.first_outbound_at - spine.created_at) as bigint)
        / cast(3600 as double precision) as first_response_hours,
        case
            when
                aggregated.last_outbound_at is null
                or aggregated.last_inbound_at > aggregated.last_outbound_at
                then
                    cast(date_part('epoch', spine.as_of - aggregated.last_inbound_at) as bigint)
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
        cast(aggregated.appointments_no_show_count as double precision) / nullif((aggregated.appointments_kept_count + aggregated.appointments_no_show_count), 0) as appointment_no_show_ratio,
        cast(date_part('epoch', spine.as_of - aggregated.last_booking_at) as bigint) / cast(86400 as double precision) as days_since_last_booking,
        coalesce(aggregated.opportunities_created_count - aggregated.opportunities_closed_count, 0)
            as opportunities_open_count,
        spine.source,
        spine.lead_intent,
        spine.timeline,
        spine.property_type,
        spine.beds,
        spine.price_min_cents,
        spine.price_max_cents,
        case
            when coalesce(spine.price_max_cents, spine.price_min_cents) < 25000000 then 'under 250k'
            when coalesce(spine.price_max_cents, spine.price_min_cents) < 40000000 then '250k to 400k'
            when coalesce(spine.price_max_cents, spine.price_min_cents) < 60000000 then '400k to 600k'
            when coalesce(spine.price_max_cents, spine.price_min_cents) < 100000000 then '600k to 1m'
            when coalesce(spine.price_max_cents, spine.price_min_cents) >= 100000000 then '1m and over'
        end as price_band,
        spine.market,
        coalesce(aggregated.agent_touch_count_90d, 0) as agent_touch_count_90d,
        cast(aggregated.agent_touch_count_total as double precision) / nullif(aggregated.outbound_count_total, 0)
            as agent_touch_share,
        cast(date_part('epoch', spine.as_of - aggregated.last_agent_touch_at) as bigint) / cast(86400 as double precision) as days_since_last_agent_touch,
        case when aggregated.last_agent_key is not null then coalesce(agent_days.touches_7d, 0) end
            as agent_touches_7d,
        case when aggregated.last_agent_key is not null then coalesce(agent_days.leads_7d, 0) end
            as agent_leads_7d,
        cast(aggregated.inbound_evening_count as double precision) / nullif(aggregated.inbound_count_total, 0)
            as inbound_evening_share,
        cast(aggregated.inbound_weekend_count as double precision) / nullif(aggregated.inbound_count_total, 0)
            as inbound_weekend_share,
        cast(aggregated.inbound_office_hours_count as double precision) / nullif(aggregated.inbound_count_total, 0)
            as inbound_office_hours_share,
        cast(date_part('epoch', spine.as_of - coalesce(aggregated.last_inbound_at, spine.created_at)) as bigint) / cast(86400 as double precision)
            as days_dormant,
        aggregated.longest_silence_seconds / cast(86400 as double precision) as longest_silence_days,
        coalesce(aggregated.returns_count, 0) as returns_count,
        cast(date_part('epoch', spine.as_of - aggregated.last_return_at) as bigint) / cast(86400 as double precision) as days_since_last_return
    from spine
    left join aggregated on spine.spine_id = aggregated.spine_id
    left join agent_days
        on
            spine.location_id = agent_days.location_id
            and substring(aggregated.last_agent_key from 11) = agent_days.agent_id
            and cast(spine.as_of at time zone 'UTC' as date) = agent_days.day
)
select
    lead_id,
    as_of,
    cast(days_since_created as double precision) as days_since_created,
    cast(days_since_last_touch as double precision) as days_since_last_touch,
    cast(days_since_last_inbound as double precision) as days_since_last_inbound,
    cast(days_since_last_outbound as double precision) as days_since_last_outbound,
    cast(days_since_last_open as double precision) as days_since_last_open,
    cast(inbound_count_7d as integer) as inbound_count_7d,
    cast(inbound_count_30d as integer) as inbound_count_30d,
    cast(inbound_count_90d as integer) as inbound_count_90d,
    cast(inbound_count_total as integer) as inbound_count_total,
    cast(outbound_count_7d as integer) as outbound_count_7d,
    cast(outbound_count_30d as integer) as outbound_count_30d,
    cast(outbound_count_90d as integer) as outbound_count_90d,
    cast(outbound_count_total as integer) as outbound_count_total,
    cast(sms_inbound_count_7d as integer) as sms_inbound_count_7d,
    cast(sms_inbound_count_30d as integer) as sms_inbound_count_30d,
    cast(sms_inbound_count_90d as integer) as sms_inbound_count_90d,
    cast(sms_outbound_count_7d as integer) as sms_outbound_count_7d,
    cast(sms_outbound_count_30d as integer) as sms_outbound_count_30d,
    cast(sms_outbound_count_90d as integer) as sms_outbound_count_90d,
    cast(email_inbound_count_7d as integer) as email_inbound_count_7d,
    cast(email_inbound_count_30d as integer) as email_inbound_count_30d,
    cast(email_inbound_count_90d as integer) as email_inbound_count_90d,
    cast(email_outbound_count_7d as integer) as email_outbound_count_7d,
    cast(email_outbound_count_30d as integer) as email_outbound_count_30d,
    cast(email_outbound_count_90d as integer) as email_outbound_count_90d,
    cast(call_inbound_count_7d as integer) as call_inbound_count_7d,
    cast(call_inbound_count_30d as integer) as call_inbound_count_30d,
    cast(call_inbound_count_90d as integer) as call_inbound_count_90d,
    cast(call_outbound_count_7d as integer) as call_outbound_count_7d,
    cast(call_outbound_count_30d as integer) as call_outbound_count_30d,
    cast(call_outbound_count_90d as integer) as call_outbound_count_90d,
    cast(email_open_count_90d as integer) as email_open_count_90d,
    cast(email_click_count_90d as integer) as email_click_count_90d,
    cast(email_open_ratio_90d as double precision) as email_open_ratio_90d,
    cast(email_click_ratio_90d as double precision) as email_click_ratio_90d,
    cast(reply_ratio as double precision) as reply_ratio,
    cast(reply_ratio_90d as double precision) as reply_ratio_90d,
    cast(touches_since_last_reply as integer) as touches_since_last_reply,
    cast(calls_answered_count as integer) as calls_answered_count,
    cast(talk_seconds_total as bigint) as talk_seconds_total,
    cast(talk_seconds_90d as bigint) as talk_seconds_90d,
    cast(avg_lead_reply_hours as double precision) as avg_lead_reply_hours,
    cast(avg_team_response_hours as double precision) as avg_team_response_hours,
    cast(first_response_hours as double precision) as first_response_hours,
    cast(hours_awaiting_response as double precision) as hours_awaiting_response,
    cast(appointments_booked_count as integer) as appointments_booked_count,
    cast(appointments_kept_count as integer) as appointments_kept_count,
    cast(appointments_no_show_count as integer) as appointments_no_show_count,
    cast(appointments_cancelled_count as integer) as appointments_cancelled_count,
    cast(appointments_pending_count as integer) as appointments_pending_count,
    cast(appointment_no_show_ratio as double precision) as appointment_no_show_ratio,
    cast(days_since_last_booking as double precision) as days_since_last_booking,
    cast(opportunities_open_count as integer) as opportunities_open_count,
    cast(source as text) as source,
    cast(lead_intent as text) as lead_intent,
    cast(timeline as text) as timeline,
    cast(property_type as text) as property_type,
    cast(beds as integer) as beds,
    cast(price_min_cents as bigint) as price_min_cents,
    cast(price_max_cents as bigint) as price_max_cents,
    cast(price_band as text) as price_band,
    cast(market as text) as market,
    cast(agent_touch_count_90d as integer) as agent_touch_count_90d,
    cast(agent_touch_share as double precision) as agent_touch_share,
    cast(days_since_last_agent_touch as double precision) as days_since_last_agent_touch,
    cast(agent_touches_7d as integer) as agent_touches_7d,
    cast(agent_leads_7d as integer) as agent_leads_7d,
    cast(inbound_evening_share as double precision) as inbound_evening_share,
    cast(inbound_weekend_share as double precision) as inbound_weekend_share,
    cast(inbound_office_hours_share as double precision) as inbound_office_hours_share,
    cast(days_dormant as double precision) as days_dormant,
    cast(longest_silence_days as double precision) as longest_silence_days,
    cast(returns_count as integer) as returns_count,
    cast(days_since_last_return as double precision) as days_since_last_return
from features
)
select * from features
