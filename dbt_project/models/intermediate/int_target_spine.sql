{{ config(indexes=[{'columns': ['target', 'lead_id']}], post_hook='analyze {{ this }}') }}

{#
    Moments at which it is known what came next, for all that is predicted beside conversion. A
    sample by digest, the same in each run, keeps training within its time.
#}

with leads as (

    select * from {{ ref('int_leads') }}

),

lead_status as (

    select * from {{ ref('int_lead_status') }}

),

timeline as (

    select * from {{ ref('int_lead_timeline') }}

),

training_points as (

    select * from {{ ref('int_training_spine') }}

),

appointments as (

    select * from {{ ref('fct_appointments') }}

),

campaign_leads as (

    select * from {{ ref('fct_campaign_leads') }}

),

shared_people as (

    {{ people_with_several_leads('leads') }}

),

inbound as (

    select
        lead_id,
        channel,
        occurred_at
    from timeline
    where event_type = 'touch' and direction = 'inbound'

),

messages as (

    -- A message and its answer by the same channel; what it says is not yet seen at as_of.
    select distinct
        lead_id,
        channel,
        occurred_at as as_of,
        case channel
            when 'sms' then {{ days_after(var('reply_sms_days'), 'occurred_at') }}
            else {{ days_after(var('reply_email_days'), 'occurred_at') }}
        end as known_until
    from timeline
    where event_type = 'touch' and direction = 'outbound' and channel in ('sms', 'email')

),

reply_points as (

    select
        messages.lead_id,
        messages.as_of,
        'reply_' || messages.channel as target,
        max(case when inbound.occurred_at is not null then 1 else 0 end) as label,
        cast(null as integer) as treated,
        cast(null as double precision) as event_days,
        cast(null as double precision) as observed_days
    from messages
    left join inbound
        on
            messages.lead_id = inbound.lead_id
            and messages.channel = inbound.channel
            and messages.as_of < inbound.occurred_at
            and messages.known_until >= inbound.occurred_at
    where messages.known_until <= {{ scoring_moment() }}
    group by messages.lead_id, messages.as_of, messages.channel

),

appointment_moments as (

    -- A day ahead, when something can still be done; of a booking at short notice, an hour after.
    select
        lead_id,
        status,
        starts_at,
        greatest(
            {{ dbt.dateadd('hour', 1, 'booked_at') }}, {{ days_before(1, 'starts_at') }}
        ) as as_of
    from appointments
    where status in ('kept', 'no_show') and starts_at < {{ scoring_moment() }}

),

no_show_points as (

    select
        lead_id,
        as_of,
        'no_show' as target,
        max(case when status = 'no_show' then 1 else 0 end) as label,
        cast(null as integer) as treated,
        cast(null as double precision) as event_days,
        cast(null as double precision) as observed_days
    from appointment_moments
    where as_of < starts_at
    group by lead_id, as_of

),

dormant_points as (

    select
        training_points.lead_id,
        training_points.as_of
    from training_points
    inner join leads on training_points.lead_id = leads.lead_id
    left join inbound
        on
            training_points.lead_id = inbound.lead_id
            and training_points.as_of > inbound.occurred_at
            and {{ days_before(var('dormant_days'), 'training_points.as_of') }} < inbound.occurred_at
    where
        leads.created_at <= {{ days_before(var('dormant_days'), 'training_points.as_of') }}
        and inbound.lead_id is null

),

recovery_points as (

    select
        dormant_points.lead_id,
        dormant_points.as_of,
        'recovery' as target,
        max(case when inbound.occurred_at is not null then 1 else 0 end) as label,
        cast(null as integer) as treated,
        cast(null as double precision) as event_days,
        cast(null as double precision) as observed_days
    from dormant_points
    left join inbound
        on
            dormant_points.lead_id = inbound.lead_id
            and dormant_points.as_of <= inbound.occurred_at
            and {{ days_after(var('recovery_days'), 'dormant_points.as_of') }} > inbound.occurred_at
    where {{ days_after(var('recovery_days'), 'dormant_points.as_of') }} <= {{ scoring_moment() }}
    group by dormant_points.lead_id, dormant_points.as_of

),

conversions as (

    select
        lead_id,
        occurred_at
    from timeline
    where event_type in ('appointment_kept', 'opportunity_won')

),

conversion_times as (

    select
        training_points.lead_id,
        training_points.as_of,
        min(conversions.occurred_at) as converted_at,
        least({{ scoring_moment() }}, min(leads.deleted_at)) as observed_until
    from training_points
    inner join leads on training_points.lead_id = leads.lead_id
    left join conversions
        on
            training_points.lead_id = conversions.lead_id
            and training_points.as_of <= conversions.occurred_at
            and conversions.occurred_at < {{ scoring_moment() }}
    group by training_points.lead_id, training_points.as_of

),

conversion_points as (

    -- A lead given up stays in: it can no longer convert, and that is what the share has to say.
    select
        lead_id,
        as_of,
        'time_to_convert' as target,
        case when converted_at is not null then 1 else 0 end as label,
        cast(null as integer) as treated,
        {{ days_between('as_of', 'converted_at') }} as event_days,
        {{ days_between('as_of', 'observed_until') }} as observed_days
    from conversion_times

),

campaign_points as (

    -- Whoever was drawn, messages sent or not: only the draw is random.
    select
        lead_id,
        started_at as as_of,
        'uplift' as target,
        max(case when is_converted then 1 else 0 end) as label,
        max(case when arm = 'send' then 1 else 0 end) as treated,
        cast(null as double precision) as event_days,
        cast(null as double precision) as observed_days
    from campaign_leads
    where {{ days_after(var('campaign_window_days'), 'started_at') }} <= {{ scoring_moment() }}
    group by lead_id, started_at
    having min(arm) = max(arm)

),

points as (

    select * from reply_points
    union all
    select * from no_show_points
    union all
    select * from recovery_points
    union all
    select * from conversion_points
    union all
    select * from campaign_points

),

open_points as (

    select
        points.*,
        leads.location_id,
        coalesce(shared_people.split_group, points.lead_id) as split_group,
        row_number() over (
            partition by points.target, points.lead_id
            order by {{ dbt.hash("points.lead_id || " ~ epoch_seconds('points.as_of')) }}
        ) as place_of_lead
    from points
    inner join leads on points.lead_id = leads.lead_id
    inner join lead_status on points.lead_id = lead_status.lead_id
    left join shared_people on points.lead_id = shared_people.lead_id
    where
        leads.created_at < points.as_of
        and (
            lead_status.closed_at is null
            or lead_status.closed_at >= points.as_of
            or points.target = 'uplift'
        )

),

sampled_points as (

    select
        *,
        row_number() over (
            partition by target
            order by {{ dbt.hash('split_group') }}, lead_id, place_of_lead
        ) as place
    from open_points
    where place_of_lead <= {{ var('target_points_per_lead') }} or target = 'uplift'

),

final as (

    select
        lead_id,
        location_id,
        as_of,
        target,
        split_group,
        label,
        treated,
        event_days,
        observed_days
    from sampled_points
    where
        -- Of a time each point becomes a row per period.
        place <= {{ var('target_max_rows') }} / case when target = 'time_to_convert' then 2 else 1 end
        or target = 'uplift'

)

select * from final
