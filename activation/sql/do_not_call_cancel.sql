-- Cancels what waits for those on the list.
update ops.sends
set
    status = 'cancelled',
    status_reason = 'do_not_call',
    settled_at = %(now)s,
    idempotency_key = idempotency_key || '#cancelled:' || send_id
from ops.do_not_call
where
    do_not_call.list_name = %(list_name)s
    and do_not_call.channel = sends.channel
    and do_not_call.address = sends.to_address
    and (do_not_call.location_id = '*' or do_not_call.location_id = sends.location_id)
    and sends.status = 'intent'
