-- Both arms of a batch, person by person, from the moment it was approved. Everyone whom the plan
-- chose counts in the arm drawn for them, whether the message arrived or not.
with arms as (
    select
        items.lead_id,
        -- The marts know the person by the lead that the record belongs to now.
        coalesce(identities.lead_id, items.lead_id) as person_id,
        items.contact_id,
        items.location_id,
        items.decision as arm,
        coalesce(batches.approved_at, batches.planned_at) as started_at
    from ops.batch_items as items
    inner join ops.batches as batches on items.batch_id = batches.batch_id
    left join lateral (
        select lead_id
        from intermediate.int_lead_identities
        where record_lead_id = items.lead_id
        limit 1
    ) as identities on true
    where
        items.batch_id = %(batch_id)s
        and items.decision in ('send', 'holdout')
),

sends as (
    select
        lead_id,
        channel,
        status,
        sent_at
    from ops.sends
    where batch_id = %(batch_id)s
)

select
    arms.arm,
    count(*) as leads,
    count(*) filter (
        where sends.status in ('sent', 'delivered') or (sends.status = 'failed' and sends.sent_at is not null)
    ) as sent,
    count(*) filter (where sends.status = 'delivered') as delivered,
    count(*) filter (
        where exists (
            select 1
            from marts.fct_communications as replies
            where
                replies.lead_id = arms.person_id
                and replies.direction = 'inbound'
                and replies.occurred_at > coalesce(sends.sent_at, arms.started_at)
                and replies.occurred_at <= arms.started_at + %(window)s::interval
        )
    ) as replied,
    count(*) filter (
        where exists (
            select 1
            from ops.consent_logs as words
            where
                (
                    words.lead_id = arms.lead_id
                    or (words.location_id = arms.location_id and words.contact_id = arms.contact_id)
                )
                and words.action = 'revoked'
                and words.occurred_at > coalesce(sends.sent_at, arms.started_at)
                and words.occurred_at <= arms.started_at + %(window)s::interval
        )
    ) as opted_out,
    count(*) filter (
        where
        exists (
            select 1
            from marts.fct_appointments as appointments
            where
                appointments.lead_id = arms.person_id
                and appointments.status = 'kept'
                and appointments.starts_at > arms.started_at
                and appointments.starts_at <= arms.started_at + %(window)s::interval
        )
        or exists (
            select 1
            from marts.fct_opportunities as opportunities
            where
                opportunities.lead_id = arms.person_id
                and opportunities.status = 'won'
                and opportunities.closed_at > arms.started_at
                and opportunities.closed_at <= arms.started_at + %(window)s::interval
        )
    ) as converted
from arms
left join sends on arms.lead_id = sends.lead_id
group by arms.arm
