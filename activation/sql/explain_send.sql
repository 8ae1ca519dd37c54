-- The whole proof behind one message, as one JSON value.
select
    to_jsonb(sends) as send,
    to_jsonb(batches) as batch,
    to_jsonb(items) as item,
    to_jsonb(consent) as consent,
    to_jsonb(scores) as score,
    (
        select coalesce(jsonb_agg(to_jsonb(trail) order by trail.audit_id), '[]')
        from ops.audit_trail as trail
        where
            (trail.entity = 'send' and trail.entity_id = sends.send_id::text)
            or (trail.entity = 'batch' and trail.entity_id = sends.batch_id::text)
    ) as audit_trail,
    (
        select coalesce(jsonb_agg(to_jsonb(history) order by history.occurred_at), '[]')
        from ops.consent_logs as history
        where history.lead_id = sends.lead_id and history.channel = sends.channel
    ) as consent_history,
    (
        select
            coalesce(
                jsonb_agg(
                    jsonb_build_object(
                        'event_id', events.event_id,
                        'event_type', events.event_type,
                        'handled_at', events.handled_at
                    )
                ),
                '[]'
            )
        from ops.webhook_events as events
        where events.payload ? 'send_id' and events.payload ->> 'send_id' = sends.send_id::text
    ) as webhook_events
from ops.sends
inner join ops.batches on sends.batch_id = batches.batch_id
left join ops.batch_items as items
    on sends.batch_id = items.batch_id and sends.lead_id = items.lead_id
left join ops.consent_logs as consent on sends.consent_log_id = consent.consent_log_id
left join lateral (
    select *
    from ml.lead_scores
    where sends.score is not null and lead_id = sends.lead_id and as_of <= batches.as_of
    order by as_of desc
    limit 1
) as scores on true
where sends.send_id = %(send_id)s
