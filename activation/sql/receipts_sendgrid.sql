update ops.sends
set
    status = case activity.status when 'delivered' then 'delivered' else 'failed' end,
    status_reason = case activity.status when 'delivered' then null else 'not_delivered' end,
    settled_at = %(now)s
from raw_sendgrid.email_activity as activity
where
    sends.status = 'sent'
    and sends.provider = 'sendgrid'
    and sends.provider_message_id = split_part(activity.msg_id, '.', 1)
    and activity.status in ('delivered', 'not_delivered')
