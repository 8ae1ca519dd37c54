-- Both arms of a batch, lead by lead, and what each did in the window after the start. Everyone whom
-- the plan chose counts in the arm drawn for them, whether a message arrived or not; a lead that an
-- earlier batch of the same campaign had drawn already counts there, as in marts.fct_campaign_leads.
with this_batch as (
    select
        batch_id,
        audience,
        sequence
    from ops.batches
    where batch_id = %(batch_id)s
),

campaign_batches as (
    select
        batches.batch_id,
        coalesce(batches.approved_at, batches.planned_at) as started_at
    from ops.batches as batches
    inner join this_batch
        on batches.audience = this_batch.audience and batches.sequence = this_batch.sequence
    where
        batches.batch_id = this_batch.batch_id
        or (
            not batches.dry_run
            and batches.approved_at is not null
            and (
                batches.status in ('approved', 'dispatching', 'done')
                or exists (
                    select 1
                    from ops.sends
                    where
                        sends.batch_id = batches.batch_id
                        and (
                            sends.status in ('sent', 'delivered')
                            or (sends.status = 'failed' and sends.sent_at is not null)
                        )
                )
            )
        )
),

drawn as (
    select
        items.batch_id,
        items.lead_id,
        -- The marts know the person by the lead that the record belongs to now.
        coalesce(identities.lead_id, items.lead_id) as person_id,
        items.contact_id,
        items.location_id,
        items.decision as arm,
        campaign_batches.started_at,
        row_number() over (
            partition by coalesce(identities.lead_id, items.lead_id)
            order by campaign_batches.started_at asc, items.decision desc, items.lead_id asc, items.batch_id asc
        ) as place
    from ops.batch_items as items
    inner join campaign_batches on items.batch_id = campaign_batches.batch_id
    left join lateral (
        select lead_id
        from intermediate.int_lead_identities
        where record_lead_id = items.lead_id
        limit 1
    ) as identities on true
    where items.decision in ('send', 'holdout')
),

arms as (
    select
        *,
        started_at + %(window)s::interval as ends_at
    from drawn
    where batch_id = %(batch_id)s and place = 1
),

sends as (
    select
        lead_id,
        bool_or(status in ('sent', 'delivered') or (status = 'failed' and sent_at is not null)) as is_sent,
        bool_or(status = 'delivered') as is_delivered,
        min(sent_at) as sent_at
    from ops.sends
    where batch_id = %(batch_id)s
    group by lead_id
)

select
    arms.arm,
    coalesce(sends.is_sent, false) as is_sent,
    coalesce(sends.is_delivered, false) as is_delivered,
    replies.replied_at is not null as replied,
    exists (
        select 1
        from ops.consent_logs as words
        where
            (
                words.lead_id = arms.lead_id
                or (words.location_id = arms.location_id and words.contact_id = arms.contact_id)
            )
            and words.action = 'revoked'
            and words.occurred_at > coalesce(sends.sent_at, arms.started_at)
            and words.occurred_at <= arms.ends_at
    ) as opted_out,
    appointments.kept_at,
    opportunities.won_at,
    coalesce(opportunities.won_value_cents, 0)::bigint as won_value_cents,
    -- Reached from elsewhere before the lead spoke or converted: what follows an answer of its own
    -- is part of what the batch brought.
    (
        select case when bool_or(touches.by_batch) then 'batch' else 'person' end
        from (
            select
                true as by_batch,
                others.sent_at as at
            from ops.sends as others
            where
                others.lead_id in (
                    select arms.lead_id
                    union all
                    select record_lead_id
                    from intermediate.int_lead_identities
                    where lead_id = arms.person_id
                )
                and others.batch_id != arms.batch_id
            union all
            select
                false as by_batch,
                calls.occurred_at as at
            from marts.fct_communications as calls
            where
                calls.lead_id = arms.person_id
                and calls.direction = 'outbound'
                and calls.actor = 'agent'
        ) as touches
        where
            touches.at > arms.started_at
            and touches.at <= arms.ends_at
            and touches.at < coalesce(least(first_words.at, appointments.kept_at, opportunities.won_at), 'infinity')
        having count(*) > 0
    ) as touched_by
from arms
left join sends on arms.lead_id = sends.lead_id
left join lateral (
    select min(words.occurred_at) as replied_at
    from marts.fct_communications as words
    where
        words.lead_id = arms.person_id
        and words.direction = 'inbound'
        and words.occurred_at > coalesce(sends.sent_at, arms.started_at)
        and words.occurred_at <= arms.ends_at
) as replies on true
left join lateral (
    select min(words.occurred_at) as at
    from marts.fct_communications as words
    where
        words.lead_id = arms.person_id
        and words.direction = 'inbound'
        and words.occurred_at > arms.started_at
) as first_words on true
left join lateral (
    select min(kept.starts_at) as kept_at
    from marts.fct_appointments as kept
    where
        kept.lead_id = arms.person_id
        and kept.status = 'kept'
        and kept.starts_at > arms.started_at
        and kept.starts_at <= arms.ends_at
) as appointments on true
left join lateral (
    select
        min(won.closed_at) as won_at,
        sum(won.value_cents) as won_value_cents
    from marts.fct_opportunities as won
    where
        won.lead_id = arms.person_id
        and won.status = 'won'
        and won.closed_at > arms.started_at
        and won.closed_at <= arms.ends_at
) as opportunities on true
