-- What cleared each message at the moment of sending, kept with it.
update ops.sends
set
    consent_log_id = cleared.consent_log_id,
    consent_hash = cleared.consent_hash,
    rule_version = %(rule_version)s
from
    unnest(%(send_ids)s::uuid [], %(consent_log_ids)s::bigint [], %(consent_hashes)s::text [])
    as cleared (send_id, consent_log_id, consent_hash)
where sends.send_id = cleared.send_id
