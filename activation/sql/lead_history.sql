-- One lead, with every word about consent and every automated message, under any of its records.
select
    leads.location_id,
    leads.phone,
    leads.email,
    leads.timezone,
    leads.state,
    leads.is_dnd_all,
    leads.is_dnd_sms,
    leads.is_dnd_email,
    (
        select
            coalesce(
                jsonb_agg(
                    jsonb_build_object(
                        'channel', words.channel, 'action', words.action, 'at', words.occurred_at
                    )
                ),
                '[]'
            )
        from intermediate.int_lead_identities as identities
        inner join ops.consent_logs as words
            on
                identities.location_id = words.location_id
                and identities.record_id = words.contact_id
        where
            identities.lead_id = leads.lead_id
            and words.purpose = 'marketing'
            and words.channel in ('sms', 'email')
    ) as consents,
    (
        select coalesce(array_agg(sends.sent_at), '{}')
        from ops.sends
        where sends.lead_id = leads.lead_id and sends.sent_at is not null
    ) as sent_at
from marts.dim_leads as leads
where leads.lead_id = %(lead_id)s
