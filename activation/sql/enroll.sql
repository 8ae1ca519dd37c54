-- Everyone whose first message a batch has queued is on the way; once per batch.
with ready as (
    select
        batch_id,
        approved_at
    from ops.batches
    where
        status in ('dispatching', 'done', 'cancelled')
        and enrolled_at is null
        and summary ? 'journey'
    for update skip locked
),

marked as (
    update ops.batches
    set enrolled_at = %(now)s
    from ready
    where batches.batch_id = ready.batch_id
),

enrolled as (
    insert into ops.enrollments (
        enrollment_id, batch_id, lead_id, location_id, contact_id, sequence, zone, status, step,
        pending_step, pending_since, next_check_at, enrolled_at, updated_at
    )
    select
        gen_random_uuid(),
        sends.batch_id,
        sends.lead_id,
        sends.location_id,
        sends.contact_id,
        sends.sequence,
        coalesce(leads.timezone, 'UTC'),
        'active',
        0,
        1,
        sends.created_at,
        %(now)s,
        coalesce(ready.approved_at, sends.created_at),
        %(now)s
    from ready
    inner join ops.sends on ready.batch_id = sends.batch_id and sends.step = 1
    left join marts.dim_leads as leads on sends.lead_id = leads.lead_id
    on conflict (batch_id, lead_id) do nothing
    returning enrollment_id, location_id, enrolled_at, batch_id
)

insert into ops.enrollment_events (
    enrollment_id, location_id, at, kind, step, detail, created_at
)
select
    enrollment_id,
    location_id,
    enrolled_at,
    'enrolled',
    1,
    jsonb_build_object('batch_id', batch_id),
    %(now)s
from enrolled
