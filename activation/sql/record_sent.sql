-- The receipts of messages that a provider took. A receipt is only written over the claim that it
-- belongs to; it wins over a word against that came while the message was on its way.
update ops.sends
set
    status = 'sent',
    provider_message_id = receipts.provider_message_id,
    sent_at = %(now)s,
    settled_at = %(now)s,
    status_reason = null
from
    unnest(%(send_ids)s::uuid [], %(message_ids)s::text [], %(workers)s::text [])
    as receipts (send_id, provider_message_id, worker)
where
    sends.send_id = receipts.send_id
    and sends.claimed_by = receipts.worker
    and sends.status in ('claimed', 'unsettled', 'cancelled')
