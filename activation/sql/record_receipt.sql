update ops.sends
set
    status = %(status)s,
    status_reason = coalesce(%(reason)s, status_reason),
    provider_message_id = coalesce(provider_message_id, %(provider_message_id)s),
    sent_at = coalesce(sent_at, %(at)s),
    settled_at = %(at)s
where
    provider = %(provider)s
    and (
        send_id = %(send_id)s::uuid
        or (
            %(send_id)s::uuid is null
            and provider_message_id = %(provider_message_id)s
        )
    )
    and (
        (status in ('claimed', 'unsettled'))
        or (status = 'sent' and %(status)s in ('delivered', 'failed'))
    )
