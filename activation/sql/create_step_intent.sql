-- The intent of one later step, with the consent and the score that it rests on. Nothing where the
-- lead has the step already, from whatever batch.
insert into ops.sends (
    send_id, batch_id, lead_id, location_id, contact_id, channel, to_address, from_address,
    subject, body, body_digest, template_id, template_version, sequence, step, idempotency_key,
    status, not_before, consent_log_id, rule_version, model_version, score, created_at
)
select
    gen_random_uuid(),
    %(batch_id)s,
    %(lead_id)s,
    %(location_id)s,
    %(contact_id)s,
    %(channel)s,
    %(to_address)s,
    %(from_address)s,
    %(subject)s,
    %(body)s,
    encode(
        sha256(
            convert_to(coalesce(%(subject)s::text, '') || E'\n' || %(body)s::text, 'UTF8')
        ),
        'hex'
    ),
    %(template_id)s,
    %(template_version)s,
    %(sequence)s,
    %(step)s,
    %(lead_id)s || ':' || %(sequence)s || ':' || %(step)s,
    'intent',
    %(not_before)s,
    %(consent_log_id)s,
    %(rule_version)s,
    (
        select scores.model_version
        from ml.lead_scores as scores
        where
            %(score)s::double precision is not null
            and scores.lead_id = %(lead_id)s
            and scores.as_of <= %(now)s
        order by scores.as_of desc
        limit 1
    ),
    %(score)s::double precision,
    %(now)s
on conflict (idempotency_key) do nothing
returning send_id
