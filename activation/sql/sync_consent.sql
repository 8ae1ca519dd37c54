insert into ops.consent_logs (
    location_id, lead_id, contact_id, channel, purpose, action, source, method, consent_text,
    occurred_at, known_at, evidence_key, recorded_by
)
select
    location_id,
    lead_id,
    coalesce(contact_id, substr(lead_id, strpos(lead_id, ':') + 1)),
    channel,
    purpose,
    action,
    coalesce(source, 'unknown'),
    coalesce(method, 'unknown'),
    consent_text,
    occurred_at,
    known_at,
    evidence_key,
    %(recorded_by)s
from marts.fct_consent_events
where channel in ('sms', 'email', 'call')
order by occurred_at, evidence_key
on conflict (evidence_key) do nothing
