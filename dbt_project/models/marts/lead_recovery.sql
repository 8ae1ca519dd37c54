{{
    config(
        indexes=[
            {'columns': ['lead_id', 'quiet_since'], 'unique': true},
            {'columns': ['location_id', 'dormant_at']},
        ]
    )
}}

with leads as (

    select * from {{ ref('dim_leads') }}

),

outcomes as (

    select * from {{ ref('int_lead_outcomes') }}

),

communications as (

    select * from {{ ref('fct_communications') }}

),

signs_of_life as (

    -- A set: two messages of one moment are one sign.
    select
        lead_id,
        created_at as occurred_at
    from leads

    union distinct

    select
        lead_id,
        occurred_at
    from communications
    where direction = 'inbound'

),

silences as (

    select
        lead_id,
        occurred_at as quiet_since,
        {{ days_after(var('dormant_days'), 'occurred_at') }} as dormant_at,
        lead(occurred_at) over (partition by lead_id order by occurred_at) as recovered_at
    from signs_of_life
    where occurred_at < {{ scoring_moment() }}

),

episodes as (

    -- Who was won, lost or deleted before falling silent is done, not dormant.
    select
        silences.lead_id,
        leads.location_id,
        leads.closed_at,
        silences.quiet_since,
        silences.dormant_at,
        silences.recovered_at,
        coalesce(silences.recovered_at, leads.closed_at, {{ scoring_moment() }}) as ended_at
    from silences
    inner join leads on silences.lead_id = leads.lead_id
    where
        silences.dormant_at <= coalesce(silences.recovered_at, {{ scoring_moment() }})
        and (leads.closed_at is null or leads.closed_at > silences.dormant_at)

),

touches as (

    select
        episodes.lead_id,
        episodes.quiet_since,
        communications.occurred_at,
        communications.channel,
        communications.actor,
        count(*) over (partition by episodes.lead_id, episodes.quiet_since) as touches,
        row_number() over (
            partition by episodes.lead_id, episodes.quiet_since
            order by communications.occurred_at desc, communications.event_id desc
        ) as place
    from episodes
    inner join communications
        on
            episodes.lead_id = communications.lead_id
            and episodes.dormant_at <= communications.occurred_at
            and episodes.ended_at > communications.occurred_at
    where communications.direction = 'outbound'

),

final as (

    select
        episodes.lead_id,
        episodes.location_id,
        episodes.quiet_since,
        episodes.dormant_at,
        episodes.recovered_at,
        case
            when episodes.recovered_at is not null then 'recovered'
            when episodes.closed_at is not null then 'closed'
            else 'dormant'
        end as status,
        {{ days_between('episodes.quiet_since', 'episodes.ended_at') }} as days_quiet,
        cast(coalesce(touches.touches, 0) as integer) as touches_while_dormant,
        touches.occurred_at as last_touch_at,
        touches.channel as last_touch_channel,
        touches.actor as last_touch_actor,
        coalesce(
            episodes.recovered_at
            <= {{ days_after(var('recovery_touch_days'), 'touches.occurred_at') }},
            false
        ) as is_recovered_after_touch,
        coalesce(outcomes.last_converted_at > episodes.recovered_at, false) as has_converted_since
    from episodes
    left join touches
        on
            episodes.lead_id = touches.lead_id
            and episodes.quiet_since = touches.quiet_since
            and touches.place = 1
    left join outcomes on episodes.lead_id = outcomes.lead_id

)

select * from final
