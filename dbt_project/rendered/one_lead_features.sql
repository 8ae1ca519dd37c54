-- Compiled from analyses/one_lead_features.sql: do not edit. The features of one lead at one
-- moment, with the bound parameters lead_id (text) and as_of (timestamptz). Gives one row:
-- lead_id, as_of, and the features of marts.lead_features.
with one_lead as (
    select
        cast(%(lead_id)s as text) as lead_id,
        cast(%(as_of)s as timestamp with time zone) as as_of
),

features as (
    with leads as (
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

timeline as (
    select * from "intermediate"."int_lead_timeline"
),

visible_events as (
    select
        spine.lead_id,
        spine.as_of,
        case
            when timeline.event_type != 'touch' then timeline.event_type
            when timeline.direction in ('inbound', 'outbound') then timeline.direction
            else 'touch'
        end as kind,
        timeline.channel,
        timeline.direction,
        timeline.occurred_at,
        hash_record_extended(row(timeline.event_id), 0) as event_digest,
        case when timeline.event_type = 'touch' and timeline.channel = 'call' then timeline.duration_seconds end
            as call_seconds,
        timeline.event_type = 'touch' and timeline.channel = 'call' and timeline.outcome = 'answered'
            as is_answered,
        case
            when timeline.event_type = 'touch' and timeline.direction = 'outbound' and timeline.actor = 'agent'
                then timeline.agent_id
        end as agent_id,
        case
            when timeline.event_type = 'touch' and timeline.direction = 'inbound'
                then cast(timeline.occurred_at at time zone spine.timezone as timestamp)
        end as lead_local_time
    from spine
    inner join timeline
        on
            spine.lead_id = timeline.lead_id
            and timeline.occurred_at < spine.as_of
            and timeline.known_at < spine.as_of
    where timeline.event_type in ('touch', 'email_opened', 'email_clicked',
        'appointment_booked', 'appointment_kept', 'appointment_no_show', 'appointment_cancelled',
        'opportunity_created', 'opportunity_won', 'opportunity_lost')
),

touches_in_order as (
    select
        *,
        lag(direction) over touches_before as previous_direction,
        lag(occurred_at) over touches_before as previous_occurred_at,
        max(case when kind = 'inbound' then occurred_at end) over touches_before as previous_inbound_at,
        count(case when kind = 'outbound' then 1 end) over touches_before as outbounds_before
    from visible_events
    window touches_before as (
        partition by lead_id, as_of, kind in ('inbound', 'outbound', 'touch')
        order by occurred_at, direction, event_digest
        rows between unbounded preceding and 1 preceding
    )
),

events as (
    select
        lead_id,
        as_of,
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
                then cast(date_part('epoch', occurred_at - previous_occurred_at) as bigint)
        end as answered_after_seconds,
        case when kind = 'inbound' then cast(date_part('epoch', occurred_at - previous_inbound_at) as bigint) end
            as silence_seconds,
        cast(case when kind = 'inbound' then outbounds_before end as integer) as outbounds_before,
        date_part('hour', lead_local_time) >= 18 as is_evening,
        date_part('isodow', lead_local_time) >= 6 as is_weekend,
        date_part('hour', lead_local_time) >= 9
        and date_part('hour', lead_local_time) < 17
        and not date_part('isodow', lead_local_time) >= 6 as is_office_hours
    from touches_in_order
),

inbound as (
    select
        spine.lead_id,
        spine.as_of,
        count(*) as inbound_count_total,
        count(*) filter (where events.occurred_at >= spine.as_of_minus_7d) as inbound_count_7d,
        count(*) filter (where events.occurred_at >= spine.as_of_minus_7d and events.channel = 'sms')
            as sms_inbound_count_7d,
        count(*) filter (where events.occurred_at >= spine.as_of_minus_7d and events.channel = 'email')
            as email_inbound_count_7d,
        count(*) filter (where events.occurred_at >= spine.as_of_minus_7d and events.channel = 'call')
            as call_inbound_count_7d,
        count(*) filter (where events.occurred_at >= spine.as_of_minus_30d) as inbound_count_30d,
        count(*) filter (where events.occurred_at >= spine.as_of_minus_30d and events.channel = 'sms')
            as sms_inbound_count_30d,
        count(*) filter (where events.occurred_at >= spine.as_of_minus_30d and events.channel = 'email')
            as email_inbound_count_30d,
        count(*) filter (where events.occurred_at >= spine.as_of_minus_30d and events.channel = 'call')
            as call_inbound_count_30d,
        count(*) filter (where events.occurred_at >= spine.as_of_minus_90d) as inbound_count_90d,
        count(*) filter (where events.occurred_at >= spine.as_of_minus_90d and events.channel = 'sms')
            as sms_inbound_count_90d,
        count(*) filter (where events.occurred_at >= spine.as_of_minus_90d and events.channel = 'email')
            as email_inbound_count_90d,
        count(*) filter (where events.occurred_at >= spine.as_of_minus_90d and events.channel = 'call')
            as call_inbound_count_90d,
        max(events.occurred_at) as last_inbound_at,
        max(case when events.channel = 'call' then events.occurred_at end) as last_interest_at,
        count(*) filter (where events.occurred_at >= spine.as_of_minus_7d and (events.channel = 'call')) as interest_count_7d,
        count(*) filter (where events.occurred_at >= spine.as_of_minus_30d and (events.channel = 'call')) as interest_count_30d,
        count(events.answered_after_seconds) as reply_count,
        count(*) filter (where events.occurred_at >= spine.as_of_minus_90d and events.answered_after_seconds is not null) as reply_count_90d,
        avg(events.answered_after_seconds) as avg_lead_reply_seconds,
        -- It only grows, so its greatest value is the one of the last message from the lead.
        max(events.outbounds_before) as outbound_count_before_last_reply,
        count(*) filter (where events.is_answered) as calls_answered_count,
        sum(events.call_seconds) as talk_seconds_total,
        sum(case when events.occurred_at >= spine.as_of_minus_90d then events.call_seconds end) as talk_seconds_90d,
        count(*) filter (where events.is_evening) as inbound_evening_count,
        count(*) filter (where events.is_weekend) as inbound_weekend_count,
        count(*) filter (where events.is_office_hours) as inbound_office_hours_count,
        max(events.silence_seconds) as longest_silence_seconds,
        count(*) filter (where events.silence_seconds > 2592000) as returns_count,
        max(case when events.silence_seconds > 2592000 then events.occurred_at end) as last_return_at
    from (
        select
            points.lead_id,
            points.as_of,
    points.as_of + ((interval '1 hour') * (-168))
 as as_of_minus_7d,
    points.as_of + ((interval '1 hour') * (-720))
 as as_of_minus_30d,
    points.as_of + ((interval '1 hour') * (-2160))
 as as_of_minus_90d
        from one_lead as points
        offset 0
    ) as spine
    inner join events on spine.lead_id = events.lead_id and spine.as_of = events.as_of
    where events.kind = 'inbound'
    group by spine.lead_id, spine.as_of
),

outbound as (
    select
        spine.lead_id,
        spine.as_of,
        count(*) as outbound_count_total,
        count(*) filter (where events.occurred_at >= spine.as_of_minus_7d) as outbound_count_7d,
        count(*) filter (where events.occurred_at >= spine.as_of_minus_7d and events.channel = 'sms')
            as sms_outbound_count_7d,
        count(*) filter (where events.occurred_at >= spine.as_of_minus_7d and events.channel = 'email')
            as email_outbound_count_7d,
        count(*) filter (where events.occurred_at >= spine.as_of_minus_7d and events.channel = 'call')
            as call_outbound_count_7d,
        count(*) filter (where events.occurred_at >= spine.as_of_minus_30d) as outbound_count_30d,
        count(*) filter (where events.occurred_at >= spine.as_of_minus_30d and events.channel = 'sms')
            as sms_outbound_count_30d,
        count(*) filter (where events.occurred_at >= spine.as_of_minus_30d and events.channel = 'email')
            as email_outbound_count_30d,
        count(*) filter (where events.occurred_at >= spine.as_of_minus_30d and events.channel = 'call')
            as call_outbound_count_30d,
        count(*) filter (where events.occurred_at >= spine.as_of_minus_90d) as outbound_count_90d,
        count(*) filter (where events.occurred_at >= spine.as_of_minus_90d and events.channel = 'sms')
            as sms_outbound_count_90d,
        count(*) filter (where events.occurred_at >= spine.as_of_minus_90d and events.channel = 'email')
            as email_outbound_count_90d,
        count(*) filter (where events.occurred_at >= spine.as_of_minus_90d and events.channel = 'call')
            as call_outbound_count_90d,
        max(events.occurred_at) as last_outbound_at,
        min(events.occurred_at) as first_outbound_at,
        max(case when events.is_answered then events.occurred_at end) as last_interest_at,
        count(*) filter (where events.occurred_at >= spine.as_of_minus_7d and (events.is_answered)) as interest_count_7d,
        count(*) filter (where events.occurred_at >= spine.as_of_minus_30d and (events.is_answered)) as interest_count_30d,
        -- A call whose outcome nobody noted is not counted.
        max(case when events.channel = 'call' and not events.is_answered then events.occurred_at end) as last_unanswered_call_at,
        count(*) filter (where events.occurred_at >= spine.as_of_minus_7d and (events.channel = 'call' and not events.is_answered)) as unanswered_call_count_7d,
        count(*) filter (where events.occurred_at >= spine.as_of_minus_30d and (events.channel = 'call' and not events.is_answered)) as unanswered_call_count_30d,
        avg(events.answered_after_seconds) as avg_team_response_seconds,
        count(*) filter (where events.is_answered) as calls_answered_count,
        sum(events.call_seconds) as talk_seconds_total,
        sum(case when events.occurred_at >= spine.as_of_minus_90d then events.call_seconds end) as talk_seconds_90d,
        count(events.agent_id) as agent_touch_count_total,
        count(*) filter (where events.occurred_at >= spine.as_of_minus_90d and events.agent_id is not null) as agent_touch_count_90d,
        max(case when events.agent_id is not null then events.occurred_at end) as last_agent_touch_at,
        -- The latest agent without another pass: seconds since 1970 have ten digits from 2001 on.
        max(
            case
                when events.agent_id is not null
                    then cast(cast(date_part('epoch', events.occurred_at - cast('1970-01-01 00:00:00+00' as timestamp with time zone)) as bigint) as text) || events.agent_id
            end
        ) as last_agent_key
    from (
        select
            points.lead_id,
            points.as_of,
    points.as_of + ((interval '1 hour') * (-168))
 as as_of_minus_7d,
    points.as_of + ((interval '1 hour') * (-720))
 as as_of_minus_30d,
    points.as_of + ((interval '1 hour') * (-2160))
 as as_of_minus_90d
        from one_lead as points
        offset 0
    ) as spine
    inner join events on spine.lead_id = events.lead_id and spine.as_of = events.as_of
    where events.kind = 'outbound'
    group by spine.lead_id, spine.as_of
),

others as (
    select
        spine.lead_id,
        spine.as_of,
        -- Touches of which nothing says who made them.
        max(case when events.kind = 'touch' then events.occurred_at end) as last_other_touch_at,
        max(case when events.kind = 'email_clicked' or events.is_answered then events.occurred_at end) as last_interest_at,
        count(*) filter (where events.occurred_at >= spine.as_of_minus_7d and (events.kind = 'email_clicked' or events.is_answered)) as interest_count_7d,
        count(*) filter (where events.occurred_at >= spine.as_of_minus_30d and (events.kind = 'email_clicked' or events.is_answered)) as interest_count_30d,
        count(*) filter (where events.is_answered) as calls_answered_count,
        sum(events.call_seconds) as talk_seconds_total,
        sum(case when events.occurred_at >= spine.as_of_minus_90d then events.call_seconds end) as talk_seconds_90d,
        max(case when events.kind = 'email_opened' then events.occurred_at end) as last_open_at,
        count(*) filter (where events.kind = 'email_opened' and events.occurred_at >= spine.as_of_minus_90d) as email_open_count_90d,
        count(*) filter (where events.kind = 'email_clicked' and events.occurred_at >= spine.as_of_minus_90d) as email_click_count_90d,
        count(*) filter (where events.kind = 'appointment_booked') as appointments_booked_count,
        count(*) filter (where events.kind = 'appointment_kept') as appointments_kept_count,
        count(*) filter (where events.kind = 'appointment_no_show') as appointments_no_show_count,
        count(*) filter (where events.kind = 'appointment_cancelled') as appointments_cancelled_count,
        max(case when events.kind = 'appointment_booked' then events.occurred_at end) as last_booking_at,
        count(*) filter (where events.kind = 'opportunity_created') as opportunities_created_count,
        count(*) filter (where events.kind in ('opportunity_won', 'opportunity_lost')) as opportunities_closed_count
    from (
        select
            points.lead_id,
            points.as_of,
    points.as_of + ((interval '1 hour') * (-168))
 as as_of_minus_7d,
    points.as_of + ((interval '1 hour') * (-720))
 as as_of_minus_30d,
    points.as_of + ((interval '1 hour') * (-2160))
 as as_of_minus_90d
        from one_lead as points
        offset 0
    ) as spine
    inner join events on spine.lead_id = events.lead_id and spine.as_of = events.as_of
    where events.kind not in ('inbound', 'outbound')
    group by spine.lead_id, spine.as_of
),

features as (
    select
        spine.lead_id,
        spine.as_of,
        cast(date_part('epoch', spine.as_of - spine.created_at) as bigint) / cast(86400 as double precision) as days_since_created,
        cast(date_part('epoch', spine.as_of - greatest(inbound.last_inbound_at, outbound.last_outbound_at, others.last_other_touch_at)) as bigint) / cast(86400 as double precision) as days_since_last_touch,
        cast(date_part('epoch', spine.as_of - inbound.last_inbound_at) as bigint) / cast(86400 as double precision) as days_since_last_inbound,
        cast(date_part('epoch', spine.as_of - outbound.last_outbound_at) as bigint) / cast(86400 as double precision) as days_since_last_outbound,
        cast(date_part('epoch', spine.as_of - others.last_open_at) as bigint) / cast(86400 as double precision) as days_since_last_open,
        cast(date_part('epoch', spine.as_of - greatest(inbound.last_inbound_at, outbound.last_interest_at, others.last_interest_at)) as bigint) / cast(86400 as double precision) as days_since_last_engagement,
        cast(date_part('epoch', spine.as_of - greatest(inbound.last_interest_at, outbound.last_interest_at, others.last_interest_at)) as bigint) / cast(86400 as double precision) as days_since_last_call_or_click,
        coalesce(inbound.inbound_count_total, 0) as inbound_count_total,
        coalesce(inbound.inbound_count_7d, 0) as inbound_count_7d,
        coalesce(inbound.sms_inbound_count_7d, 0)
            as sms_inbound_count_7d,
        coalesce(inbound.email_inbound_count_7d, 0)
            as email_inbound_count_7d,
        coalesce(inbound.call_inbound_count_7d, 0)
            as call_inbound_count_7d,
        coalesce(inbound.inbound_count_30d, 0) as inbound_count_30d,
        coalesce(inbound.sms_inbound_count_30d, 0)
            as sms_inbound_count_30d,
        coalesce(inbound.email_inbound_count_30d, 0)
            as email_inbound_count_30d,
        coalesce(inbound.call_inbound_count_30d, 0)
            as call_inbound_count_30d,
        coalesce(inbound.inbound_count_90d, 0) as inbound_count_90d,
        coalesce(inbound.sms_inbound_count_90d, 0)
            as sms_inbound_count_90d,
        coalesce(inbound.email_inbound_count_90d, 0)
            as email_inbound_count_90d,
        coalesce(inbound.call_inbound_count_90d, 0)
            as call_inbound_count_90d,
        coalesce(outbound.outbound_count_total, 0) as outbound_count_total,
        coalesce(outbound.outbound_count_7d, 0) as outbound_count_7d,
        coalesce(outbound.sms_outbound_count_7d, 0)
            as sms_outbound_count_7d,
        coalesce(outbound.email_outbound_count_7d, 0)
            as email_outbound_count_7d,
        coalesce(outbound.call_outbound_count_7d, 0)
            as call_outbound_count_7d,
        coalesce(outbound.outbound_count_30d, 0) as outbound_count_30d,
        coalesce(outbound.sms_outbound_count_30d, 0)
            as sms_outbound_count_30d,
        coalesce(outbound.email_outbound_count_30d, 0)
            as email_outbound_count_30d,
        coalesce(outbound.call_outbound_count_30d, 0)
            as call_outbound_count_30d,
        coalesce(outbound.outbound_count_90d, 0) as outbound_count_90d,
        coalesce(outbound.sms_outbound_count_90d, 0)
            as sms_outbound_count_90d,
        coalesce(outbound.email_outbound_count_90d, 0)
            as email_outbound_count_90d,
        coalesce(outbound.call_outbound_count_90d, 0)
            as call_outbound_count_90d,
        coalesce(inbound.inbound_count_7d, 0)
        + coalesce(outbound.interest_count_7d, 0)
        + coalesce(others.interest_count_7d, 0) as engagement_count_7d,
        coalesce(inbound.inbound_count_30d, 0)
        + coalesce(outbound.interest_count_30d, 0)
        + coalesce(others.interest_count_30d, 0) as engagement_count_30d,
        coalesce(inbound.interest_count_30d, 0) + coalesce(outbound.interest_count_30d, 0) + coalesce(others.interest_count_30d, 0) as call_or_click_count_30d,
        coalesce(others.email_open_count_90d, 0) as email_open_count_90d,
        coalesce(others.email_click_count_90d, 0) as email_click_count_90d,
        cast(coalesce(others.email_open_count_90d, 0) as double precision) / nullif(outbound.email_outbound_count_90d, 0)
            as email_open_ratio_90d,
        cast(coalesce(others.email_click_count_90d, 0) as double precision) / nullif(outbound.email_outbound_count_90d, 0)
            as email_click_ratio_90d,
        cast(coalesce(inbound.reply_count, 0) as double precision) / nullif(outbound.outbound_count_total, 0) as reply_ratio,
        cast(coalesce(inbound.reply_count_90d, 0) as double precision) / nullif(outbound.outbound_count_90d, 0) as reply_ratio_90d,
        coalesce(
            outbound.outbound_count_total - coalesce(inbound.outbound_count_before_last_reply, 0), 0
        ) as touches_since_last_reply,
        coalesce(inbound.calls_answered_count, 0) + coalesce(outbound.calls_answered_count, 0) + coalesce(others.calls_answered_count, 0) as calls_answered_count,
        coalesce(outbound.unanswered_call_count_7d, 0) as calls_unanswered_count_7d,
        coalesce(outbound.unanswered_call_count_30d, 0) as calls_unanswered_count_30d,
        cast(date_part('epoch', spine.as_of - outbound.last_unanswered_call_at) as bigint) / cast(86400 as double precision)
            as days_since_last_unanswered_call,
        coalesce(inbound.talk_seconds_total, 0) + coalesce(outbound.talk_seconds_total, 0) + coalesce(others.talk_seconds_total, 0) as talk_seconds_total,
        coalesce(inbound.talk_seconds_90d, 0) + coalesce(outbound.talk_seconds_90d, 0) + coalesce(others.talk_seconds_90d, 0) as talk_seconds_90d,
        inbound.avg_lead_reply_seconds / 3600 as avg_lead_reply_hours,
        outbound.avg_team_response_seconds / 3600 as avg_team_response_hours,
        cast(date_part('epoch', outbound.first_outbound_at - spine.created_at) as bigint)
        / cast(3600 as double precision) as first_response_hours,
        case
            when
                outbound.last_outbound_at is null
                or inbound.last_inbound_at > outbound.last_outbound_at
                then
                    cast(date_part('epoch', spine.as_of - inbound.last_inbound_at) as bigint)
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
        cast(others.appointments_no_show_count as double precision) / nullif((others.appointments_kept_count + others.appointments_no_show_count), 0) as appointment_no_show_ratio,
        cast(date_part('epoch', spine.as_of - others.last_booking_at) as bigint) / cast(86400 as double precision) as days_since_last_booking,
        coalesce(others.opportunities_created_count - others.opportunities_closed_count, 0)
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
        coalesce(outbound.agent_touch_count_90d, 0) as agent_touch_count_90d,
        cast(outbound.agent_touch_count_total as double precision) / nullif(outbound.outbound_count_total, 0)
            as agent_touch_share,
        cast(date_part('epoch', spine.as_of - outbound.last_agent_touch_at) as bigint) / cast(86400 as double precision) as days_since_last_agent_touch,
        case when outbound.last_agent_key is not null then coalesce(agent_days.touches_7d, 0) end
            as agent_touches_7d,
        case when outbound.last_agent_key is not null then coalesce(agent_days.leads_7d, 0) end
            as agent_leads_7d,
        cast(inbound.inbound_evening_count as double precision) / nullif(inbound.inbound_count_total, 0)
            as inbound_evening_share,
        cast(inbound.inbound_weekend_count as double precision) / nullif(inbound.inbound_count_total, 0)
            as inbound_weekend_share,
        cast(inbound.inbound_office_hours_count as double precision) / nullif(inbound.inbound_count_total, 0)
            as inbound_office_hours_share,
        cast(date_part('epoch', spine.as_of - coalesce(inbound.last_inbound_at, spine.created_at)) as bigint) / cast(86400 as double precision)
            as days_dormant,
        inbound.longest_silence_seconds / cast(86400 as double precision) as longest_silence_days,
        coalesce(inbound.returns_count, 0) as returns_count,
        cast(date_part('epoch', spine.as_of - inbound.last_return_at) as bigint) / cast(86400 as double precision) as days_since_last_return
    from spine
    left join inbound on spine.lead_id = inbound.lead_id and spine.as_of = inbound.as_of
    left join outbound on spine.lead_id = outbound.lead_id and spine.as_of = outbound.as_of
    left join others on spine.lead_id = others.lead_id and spine.as_of = others.as_of
    left join agent_days
        on
            spine.location_id = agent_days.location_id
            and substring(outbound.last_agent_key from 11) = agent_days.agent_id
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
    cast(days_since_last_engagement as double precision) as days_since_last_engagement,
    cast(days_since_last_call_or_click as double precision) as days_since_last_call_or_click,
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
    cast(engagement_count_7d as integer) as engagement_count_7d,
    cast(engagement_count_30d as integer) as engagement_count_30d,
    cast(call_or_click_count_30d as integer) as call_or_click_count_30d,
    cast(email_open_count_90d as integer) as email_open_count_90d,
    cast(email_click_count_90d as integer) as email_click_count_90d,
    cast(email_open_ratio_90d as double precision) as email_open_ratio_90d,
    cast(email_click_ratio_90d as double precision) as email_click_ratio_90d,
    cast(reply_ratio as double precision) as reply_ratio,
    cast(reply_ratio_90d as double precision) as reply_ratio_90d,
    cast(touches_since_last_reply as integer) as touches_since_last_reply,
    cast(calls_answered_count as integer) as calls_answered_count,
    cast(calls_unanswered_count_7d as integer) as calls_unanswered_count_7d,
    cast(calls_unanswered_count_30d as integer) as calls_unanswered_count_30d,
    cast(days_since_last_unanswered_call as double precision) as days_since_last_unanswered_call,
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
