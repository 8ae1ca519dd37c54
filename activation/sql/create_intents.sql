-- One row of intent for each approved message, with the consent it rests on, before any request
-- leaves. A lead that has this step already, from whatever batch, is passed over.
insert into ops.sends (
    send_id, batch_id, lead_id, location_id, contact_id, channel, to_address, from_address,
    subject, body, body_digest, template_id, template_version, sequence, step, idempotency_key,
    status, not_before, consent_log_id, rule_version, model_version, score, created_at
)
select
    gen_random_uuid(),
    items.batch_id,
    items.lead_id,
    items.location_id,
    items.contact_id,
    items.channel,
    items.to_address,
    senders.address,
    items.subject,
    items.body,
    encode(sha256(convert_to(coalesce(items.subject, '') || E'\n' || items.body, 'UTF8')), 'hex'),
    items.template_id,
    items.template_version,
    batches.sequence,
    1,
    items.lead_id || ':' || batches.sequence || ':1',
    'intent',
    greatest(coalesce(items.send_at, %(now)s), %(now)s),
    consent.consent_log_id,
    batches.summary ->> 'rule_version',
    scores.model_version,
    items.score,
    %(now)s
from ops.batch_items as items
inner join ops.batches as batches on items.batch_id = batches.batch_id
inner join
    jsonb_to_recordset(%(senders)s::jsonb) as senders (
        location_id text, channel text, address text
    )
    on items.location_id = senders.location_id and items.channel = senders.channel
left join lateral (
    select consent_log_id
    from ops.consent_logs
    where
        location_id = items.location_id
        and contact_id = items.contact_id
        and channel = items.channel
        and purpose = 'marketing'
        and (occurred_at <= %(now)s or action = 'revoked')
    order by occurred_at desc, action desc, consent_log_id desc
    limit 1
) as consent on true
left join lateral (
    select model_version
    from ml.lead_scores
    where items.score is not null and lead_id = items.lead_id and as_of <= batches.as_of
    order by as_of desc
    limit 1
) as scores on true
where
    items.batch_id = %(batch_id)s
    and items.decision = 'send'
on conflict (idempotency_key) do nothing
