update ops.sends
set
    status = case when messages.status in ('delivered', 'read') then 'delivered' else 'failed' end,
    status_reason = messages.error_code::text,
    settled_at = %(now)s
from raw_twilio.messages as messages
where
    sends.status = 'sent'
    and sends.provider = 'twilio'
    and sends.provider_message_id = messages.sid
    and messages.status in ('delivered', 'read', 'undelivered', 'failed')
