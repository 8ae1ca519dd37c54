-- What the decision looks at, read again for one message at the moment of sending.
select
    leads.is_open,
    leads.duplicate_of_lead_id,
    leads.timezone,
    leads.state,
    leads.phone,
    leads.is_dnd_all,
    leads.is_dnd_sms,
    leads.is_dnd_email,
    exists (
        select 1
        from marts.dim_leads as others
        where
            others.location_id = %(location_id)s
            and (
                (
                    %(channel)s = 'sms'
                    and others.phone = %(to_address)s
                    and (others.is_dnd_all or others.is_dnd_sms)
                )
                or (
                    %(channel)s = 'email'
                    and others.email = %(to_address)s
                    and (others.is_dnd_all or others.is_dnd_email)
                )
            )
    ) as is_address_dnd,
    exists (
        select 1
        from ops.suppressions
        where
            location_id = %(location_id)s
            and channel = %(channel)s
            and address = %(to_address)s
    ) as is_suppressed,
    (
        select consent.action
        from ops.consent_logs as consent
        inner join marts.dim_leads as others on consent.lead_id = others.lead_id
        where
            others.location_id = %(location_id)s
            and consent.channel = %(channel)s
            and consent.purpose = 'marketing'
            and (consent.occurred_at <= %(now)s or consent.action = 'revoked')
            and (
                (%(channel)s = 'sms' and others.phone = %(to_address)s)
                or (%(channel)s = 'email' and others.email = %(to_address)s)
            )
        order by consent.occurred_at desc, consent.action desc
        limit 1
    ) as address_action,
    (
        select coalesce(array_agg(coalesce(sends.sent_at, sends.not_before)), '{}')
        from ops.sends
        where
            sends.lead_id = %(lead_id)s
            and sends.send_id != %(send_id)s
            and sends.status in ('claimed', 'unsettled', 'sent', 'delivered')
            and coalesce(sends.sent_at, sends.not_before)
            > %(now)s::timestamptz - %(cap_window)s::interval
    ) as recent_sends,
    to_jsonb(newest) as consent,
    newest.occurred_at as consent_occurred_at
from marts.dim_leads as leads
left join lateral (
    select *
    from ops.consent_logs
    where
        lead_id = %(lead_id)s
        and channel = %(channel)s
        and purpose = 'marketing'
        and (occurred_at <= %(now)s or action = 'revoked')
    order by occurred_at desc, action desc, consent_log_id desc
    limit 1
) as newest on true
where leads.lead_id = %(lead_id)s
