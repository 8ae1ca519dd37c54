{{
    config(
        indexes=[
            {'columns': ['campaign_id', 'lead_id'], 'unique': true},
            {'columns': ['location_id']},
        ]
    )
}}

with batches as (

    select * from {{ ref('stg_ops__batches') }}

),

items as (

    select
        *,
        decision as arm
    from {{ ref('stg_ops__batch_items') }}
    where decision in ('send', 'holdout')

),

sends as (

    select * from {{ ref('stg_ops__batch_sends') }}

),

revocations as (

    select * from {{ ref('stg_ops__revocations') }}

),

surviving as (

    select * from {{ ref('int_contacts_surviving') }}

),

identities as (

    select
        record_lead_id,
        lead_id
    from {{ ref('int_lead_identities') }}

),

communications as (

    select * from {{ ref('fct_communications') }}

),

appointments as (

    select * from {{ ref('fct_appointments') }}

),

opportunities as (

    select * from {{ ref('fct_opportunities') }}

),

lead_sends as (

    -- A message that was called off may have been tried again; the one that went out counts.
    select
        batch_id,
        lead_id,
        max(case when is_sent then 1 else 0 end) as sent,
        max(case when is_delivered then 1 else 0 end) as delivered,
        min(sent_at) as sent_at
    from sends
    group by batch_id, lead_id

),

begun_batches as (

    -- Approved, and not called off before anything went out.
    select batches.*
    from batches
    where
        batches.approved_at is not null
        and (
            batches.status in ('approved', 'dispatching', 'done')
            or exists (
                select 1
                from lead_sends
                where lead_sends.batch_id = batches.batch_id and lead_sends.sent = 1
            )
        )

),

assignments as (

    -- A contact that has been merged since is the lead that it is now.
    select
        begun_batches.campaign_id,
        coalesce(surviving.lead_id, items.lead_id) as lead_id,
        items.lead_id as planned_lead_id,
        items.location_id,
        begun_batches.batch_id,
        items.arm,
        begun_batches.holdout_share,
        begun_batches.started_at,
        row_number() over (
            partition by begun_batches.campaign_id, coalesce(surviving.lead_id, items.lead_id)
            order by
                begun_batches.started_at asc,
                items.arm desc,
                items.lead_id asc,
                begun_batches.batch_id asc
        ) as place
    from items
    inner join begun_batches on items.batch_id = begun_batches.batch_id
    left join surviving
        on items.location_id = surviving.location_id and items.contact_id = surviving.contact_id

),

campaign_leads as (

    -- Once per campaign, in the arm that was drawn first, whether a message arrived or not.
    select
        assignments.campaign_id,
        assignments.lead_id,
        assignments.planned_lead_id,
        assignments.location_id,
        assignments.batch_id,
        assignments.arm,
        assignments.holdout_share,
        assignments.started_at,
        coalesce(lead_sends.sent, 0) = 1 as is_sent,
        coalesce(lead_sends.delivered, 0) = 1 as is_delivered,
        lead_sends.sent_at,
        coalesce(lead_sends.sent_at, assignments.started_at) as listens_from,
        {{ days_after(var('campaign_window_days'), 'assignments.started_at') }} as window_ends_at
    from assignments
    left join lead_sends
        on
            assignments.batch_id = lead_sends.batch_id
            and assignments.planned_lead_id = lead_sends.lead_id
    where assignments.place = 1

),

replies as (

    select
        campaign_leads.campaign_id,
        campaign_leads.lead_id,
        min(communications.occurred_at) as replied_at
    from campaign_leads
    inner join communications
        on
            campaign_leads.lead_id = communications.lead_id
            and campaign_leads.listens_from < communications.occurred_at
            and campaign_leads.window_ends_at >= communications.occurred_at
    where communications.direction = 'inbound'
    group by campaign_leads.campaign_id, campaign_leads.lead_id

),

opt_outs as (

    select
        campaign_leads.campaign_id,
        campaign_leads.lead_id,
        min(revocations.occurred_at) as opted_out_at
    from campaign_leads
    inner join revocations
        on
            campaign_leads.planned_lead_id = revocations.lead_id
            and campaign_leads.listens_from < revocations.occurred_at
            and campaign_leads.window_ends_at >= revocations.occurred_at
    group by campaign_leads.campaign_id, campaign_leads.lead_id

),

bookings as (

    select
        campaign_leads.campaign_id,
        campaign_leads.lead_id,
        min(appointments.booked_at) as booked_at
    from campaign_leads
    inner join appointments
        on
            campaign_leads.lead_id = appointments.lead_id
            and campaign_leads.started_at < appointments.booked_at
            and campaign_leads.window_ends_at >= appointments.booked_at
    group by campaign_leads.campaign_id, campaign_leads.lead_id

),

kept_appointments as (

    select
        campaign_leads.campaign_id,
        campaign_leads.lead_id,
        min(appointments.starts_at) as kept_at
    from campaign_leads
    inner join appointments
        on
            campaign_leads.lead_id = appointments.lead_id
            and campaign_leads.started_at < appointments.starts_at
            and campaign_leads.window_ends_at >= appointments.starts_at
    where appointments.status = 'kept'
    group by campaign_leads.campaign_id, campaign_leads.lead_id

),

won_opportunities as (

    select
        campaign_leads.campaign_id,
        campaign_leads.lead_id,
        min(opportunities.closed_at) as won_at,
        sum(opportunities.value_cents) as won_value_cents
    from campaign_leads
    inner join opportunities
        on
            campaign_leads.lead_id = opportunities.lead_id
            and campaign_leads.started_at < opportunities.closed_at
            and campaign_leads.window_ends_at >= opportunities.closed_at
    where opportunities.status = 'won'
    group by campaign_leads.campaign_id, campaign_leads.lead_id

),

first_words as (

    select
        campaign_leads.campaign_id,
        campaign_leads.lead_id,
        min(communications.occurred_at) as spoke_at
    from campaign_leads
    inner join communications
        on
            campaign_leads.lead_id = communications.lead_id
            and campaign_leads.started_at < communications.occurred_at
    where communications.direction = 'inbound'
    group by campaign_leads.campaign_id, campaign_leads.lead_id

),

touches as (

    select
        coalesce(identities.lead_id, sends.lead_id) as lead_id,
        sends.batch_id,
        sends.sent_at as touched_at
    from sends
    left join identities on sends.lead_id = identities.record_lead_id
    where sends.sent_at is not null

    union all

    select
        lead_id,
        'none' as batch_id,
        occurred_at as touched_at
    from communications
    where direction = 'outbound' and actor = 'agent'

),

reached_elsewhere as (

    -- What follows the lead's own word is part of what the campaign brought.
    select distinct
        campaign_leads.campaign_id,
        campaign_leads.lead_id
    from campaign_leads
    inner join touches
        on
            campaign_leads.lead_id = touches.lead_id
            and campaign_leads.batch_id != touches.batch_id
            and campaign_leads.started_at < touches.touched_at
            and campaign_leads.window_ends_at >= touches.touched_at
    left join first_words
        on
            campaign_leads.campaign_id = first_words.campaign_id
            and campaign_leads.lead_id = first_words.lead_id
    left join kept_appointments
        on
            campaign_leads.campaign_id = kept_appointments.campaign_id
            and campaign_leads.lead_id = kept_appointments.lead_id
    left join won_opportunities
        on
            campaign_leads.campaign_id = won_opportunities.campaign_id
            and campaign_leads.lead_id = won_opportunities.lead_id
    where
        (first_words.spoke_at is null or touches.touched_at < first_words.spoke_at)
        and (kept_appointments.kept_at is null or touches.touched_at < kept_appointments.kept_at)
        and (won_opportunities.won_at is null or touches.touched_at < won_opportunities.won_at)

),

final as (

    select
        campaign_leads.campaign_id,
        campaign_leads.lead_id,
        campaign_leads.location_id,
        campaign_leads.batch_id,
        campaign_leads.arm,
        campaign_leads.holdout_share,
        campaign_leads.started_at,
        campaign_leads.is_sent,
        campaign_leads.is_delivered,
        campaign_leads.sent_at,
        replies.replied_at,
        opt_outs.opted_out_at,
        bookings.booked_at,
        kept_appointments.kept_at,
        won_opportunities.won_at,
        coalesce(kept_appointments.kept_at, won_opportunities.won_at) is not null as is_converted,
        cast(coalesce(won_opportunities.won_value_cents, 0) as bigint) as won_value_cents,
        reached_elsewhere.lead_id is not null as is_reached_elsewhere
    from campaign_leads
    left join replies
        on campaign_leads.campaign_id = replies.campaign_id and campaign_leads.lead_id = replies.lead_id
    left join opt_outs
        on campaign_leads.campaign_id = opt_outs.campaign_id and campaign_leads.lead_id = opt_outs.lead_id
    left join bookings
        on campaign_leads.campaign_id = bookings.campaign_id and campaign_leads.lead_id = bookings.lead_id
    left join kept_appointments
        on
            campaign_leads.campaign_id = kept_appointments.campaign_id
            and campaign_leads.lead_id = kept_appointments.lead_id
    left join won_opportunities
        on
            campaign_leads.campaign_id = won_opportunities.campaign_id
            and campaign_leads.lead_id = won_opportunities.lead_id
    left join reached_elsewhere
        on
            campaign_leads.campaign_id = reached_elsewhere.campaign_id
            and campaign_leads.lead_id = reached_elsewhere.lead_id

)

select * from final
