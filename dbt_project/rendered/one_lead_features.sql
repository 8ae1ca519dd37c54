-- Compiled from analyses/one_lead_features.sql: do not edit. The features of one lead at one
-- moment, with the bound parameters lead_id (text) and as_of (timestamptz). Gives one row:
-- lead_id, as_of, and the features of marts.lead_features.
with one_lead as (
    select
        cast(%(lead_id)s as text) as lead_id,
        cast(%(as_of)s as timestamp with time zone) as as_of
),

features as (
    with spine as (
    select
        lead_id,
        as_of,
        row_number() over (order by lead_id, as_of) as spine_id,
    as_of + ((interval '1 hour') * (-168))
 as as_of_minus_7d,
    as_of + ((interval '1 hour') * (-720))
 as as_of_minus_30d,
    as_of + ((interval '1 hour') * (-2160))
 as as_of_minus_90d
    from one_lead
),

timeline as (
    select * from "intermediate"."int_lead_timeline"
),

leads as (
    select * from "intermediate"."int_leads"
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
        count(case when is_inbound and window_days <= 7 then 1 end)
            as inbound_count_7d,
        count(case when is_inbound and window_days <= 30 then 1 end)
            as inbound_count_30d,
        count(case when is_inbound and window_days <= 90 then 1 end)
            as inbound_count_90d,
        count(case when is_inbound then 1 end) as inbound_count_total,
        count(case when is_inbound and channel = 'sms' and window_days <= 90 then 1 end)
            as sms_inbound_count_90d,
        count(case when is_inbound and channel = 'email' and window_days <= 90 then 1 end)
            as email_inbound_count_90d,
        count(case when is_inbound and channel = 'call' and window_days <= 90 then 1 end)
            as call_inbound_count_90d,
        count(case when is_outbound and window_days <= 7 then 1 end)
            as outbound_count_7d,
        count(case when is_outbound and window_days <= 30 then 1 end)
            as outbound_count_30d,
        count(case when is_outbound and window_days <= 90 then 1 end)
            as outbound_count_90d,
        count(case when is_outbound then 1 end) as outbound_count_total,
        count(case when is_outbound and channel = 'sms' and window_days <= 90 then 1 end)
            as sms_outbound_count_90d,
        count(case when is_outbound and channel = 'email' and window_days <= 90 then 1 end)
            as email_outbound_count_90d,
        count(case when is_outbound and channel = 'call' and window_days <= 90 then 1 end)
            as call_outbound_count_90d,
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
            as opportunities_closed_count
    from sequenced_events
    group by spine_id
),

features as (
    select
        spine.lead_id,
        spine.as_of,
        cast(date_part('epoch', spine.as_of - leads.created_at) as bigint) / cast(86400 as double precision) as days_since_created,
        cast(date_part('epoch', spine.as_of - aggregated.last_touch_at) as bigint) / cast(86400 as double precision) as days_since_last_touch,
        cast(date_part('epoch', spine.as_of - aggregated.last_inbound_at) as bigint) / cast(86400 as double precision) as days_since_last_inbound,
        cast(date_part('epoch', spine.as_of - aggregated.last_outbound_at) as bigint) / cast(86400 as double precision) as days_since_last_outbound,
        cast(date_part('epoch', spine.as_of - coalesce(aggregated.last_inbound_at, leads.created_at)) as bigint) / cast(86400 as double precision)
            as days_dormant,
        coalesce(aggregated.inbound_count_7d, 0) as inbound_count_7d,
        coalesce(aggregated.inbound_count_30d, 0) as inbound_count_30d,
        coalesce(aggregated.inbound_count_90d, 0) as inbound_count_90d,
        coalesce(aggregated.inbound_count_total, 0) as inbound_count_total,
        coalesce(aggregated.sms_inbound_count_90d, 0)
            as sms_inbound_count_90d,
        coalesce(aggregated.email_inbound_count_90d, 0)
            as email_inbound_count_90d,
        coalesce(aggregated.call_inbound_count_90d, 0)
            as call_inbound_count_90d,
        coalesce(aggregated.outbound_count_7d, 0) as outbound_count_7d,
        coalesce(aggregated.outbound_count_30d, 0) as outbound_count_30d,
        coalesce(aggregated.outbound_count_90d, 0) as outbound_count_90d,
        coalesce(aggregated.outbound_count_total, 0) as outbound_count_total,
        coalesce(aggregated.sms_outbound_count_90d, 0)
            as sms_outbound_count_90d,
        coalesce(aggregated.email_outbound_count_90d, 0)
            as email_outbound_count_90d,
        coalesce(aggregated.call_outbound_count_90d, 0)
            as call_outbound_count_90d,
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
        cast(date_part('epoch', aggregated.first_outbound_at - leads.created_at) as bigint)
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
        cast(date_part('epoch', spine.as_of - aggregated.last_booking_at) as bigint) / cast(86400 as double precision) as days_since_last_booking,
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
    cast(days_since_created as double precision) as days_since_created,
    cast(days_since_last_touch as double precision) as days_since_last_touch,
    cast(days_since_last_inbound as double precision) as days_since_last_inbound,
    cast(days_since_last_outbound as double precision) as days_since_last_outbound,
    cast(days_dormant as double precision) as days_dormant,
    cast(inbound_count_7d as integer) as inbound_count_7d,
    cast(inbound_count_30d as integer) as inbound_count_30d,
    cast(inbound_count_90d as integer) as inbound_count_90d,
    cast(inbound_count_total as integer) as inbound_count_total,
    cast(outbound_count_7d as integer) as outbound_count_7d,
    cast(outbound_count_30d as integer) as outbound_count_30d,
    cast(outbound_count_90d as integer) as outbound_count_90d,
    cast(outbound_count_total as integer) as outbound_count_total,
    cast(sms_inbound_count_90d as integer) as sms_inbound_count_90d,
    cast(sms_outbound_count_90d as integer) as sms_outbound_count_90d,
    cast(email_inbound_count_90d as integer) as email_inbound_count_90d,
    cast(email_outbound_count_90d as integer) as email_outbound_count_90d,
    cast(call_inbound_count_90d as integer) as call_inbound_count_90d,
    cast(call_outbound_count_90d as integer) as call_outbound_count_90d,
    cast(email_open_count_90d as integer) as email_open_count_90d,
    cast(email_click_count_90d as integer) as email_click_count_90d,
    cast(reply_ratio as double precision) as reply_ratio,
    cast(touches_since_last_reply as integer) as touches_since_last_reply,
    cast(calls_answered_count as integer) as calls_answered_count,
    cast(talk_seconds_total as bigint) as talk_seconds_total,
    cast(talk_seconds_90d as bigint) as talk_seconds_90d,
    cast(avg_lead_reply_hours as double precision) as avg_lead_reply_hours,
    cast(avg_team_response_hours as double precision) as avg_team_response_hours,
    cast(first_response_hours as double precision) as first_response_hours,
    cast(appointments_booked_count as integer) as appointments_booked_count,
    cast(appointments_kept_count as integer) as appointments_kept_count,
    cast(appointments_no_show_count as integer) as appointments_no_show_count,
    cast(appointments_cancelled_count as integer) as appointments_cancelled_count,
    cast(appointments_pending_count as integer) as appointments_pending_count,
    cast(days_since_last_booking as double precision) as days_since_last_booking,
    cast(opportunities_open_count as integer) as opportunities_open_count,
    cast(source as text) as source,
    cast(lead_intent as text) as lead_intent,
    cast(timeline as text) as timeline,
    cast(property_type as text) as property_type,
    cast(beds as integer) as beds,
    cast(price_min_cents as bigint) as price_min_cents,
    cast(price_max_cents as bigint) as price_max_cents
from features
)
select * from features
