-- What the decision looks at, read again for one message at the moment of sending. A lead may have
-- turned out to be part of another one since; what was noted under any of the person's records counts.
with person as (
    select
        coalesce(
            (
                select identities.lead_id
                from intermediate.int_lead_identities as identities
                where identities.record_lead_id = %(lead_id)s
                limit 1
            ),
            %(lead_id)s
        ) as lead_id
),

records as (
    select distinct identities.record_id
    from intermediate.int_lead_identities as identities
    inner join person on identities.lead_id = person.lead_id
),

address_leads as (
    select distinct
        leads.lead_id,
        leads.contact_id,
        leads.is_dnd_all
        or case %(channel)s when 'sms' then leads.is_dnd_sms else leads.is_dnd_email end as is_dnd
    from intermediate.int_lead_addresses as addresses
    inner join marts.dim_leads as leads on addresses.lead_id = leads.lead_id
    where
        addresses.location_id = %(location_id)s
        and addresses.channel = %(channel)s
        and addresses.address = %(to_address)s
)

select
    leads.is_open,
    nullif(leads.lead_id, %(lead_id)s) as duplicate_of_lead_id,
    leads.timezone,
    leads.state,
    leads.phone,
    leads.is_dnd_all,
    leads.is_dnd_sms,
    leads.is_dnd_email,
    exists (
        select 1
        from address_leads
        where is_dnd
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
        from address_leads
        inner join intermediate.int_lead_identities as identities
            on address_leads.lead_id = identities.lead_id
        inner join ops.consent_logs as consent
            on
                identities.location_id = consent.location_id
                and identities.record_id = consent.contact_id
        where
            consent.channel = %(channel)s
            and consent.purpose = 'marketing'
            and (consent.occurred_at <= %(now)s or consent.action = 'revoked')
            and (
                consent.action = 'revoked'
                or consent.contact_id = coalesce(address_leads.contact_id, consent.contact_id)
            )
        order by consent.occurred_at desc, consent.action desc
        limit 1
    ) as address_action,
    (
        select coalesce(array_agg(coalesce(sends.sent_at, sends.not_before)), '{}')
        from ops.sends
        where
            (
                sends.lead_id = %(lead_id)s
                or (
                    sends.location_id = %(location_id)s
                    and sends.contact_id in (select records.record_id from records)
                )
            )
            and sends.send_id != %(send_id)s
            and sends.status in ('claimed', 'unsettled', 'sent', 'delivered')
            and coalesce(sends.sent_at, sends.not_before)
            > %(now)s::timestamptz - %(cap_window)s::interval
    ) as recent_sends,
    to_jsonb(newest) as consent,
    newest.occurred_at as consent_occurred_at
from person
inner join marts.dim_leads as leads on person.lead_id = leads.lead_id
left join lateral (
    select consent.*
    from ops.consent_logs as consent
    where
        consent.location_id = %(location_id)s
        and consent.contact_id in (select records.record_id from records)
        and consent.channel = %(channel)s
        and consent.purpose = 'marketing'
        and (consent.occurred_at <= %(now)s or consent.action = 'revoked')
        -- A yes counts for the contact that gave it, a no for the person.
        and (
            consent.action = 'revoked'
            or consent.contact_id = coalesce(leads.contact_id, consent.contact_id)
        )
    order by consent.occurred_at desc, consent.action desc, consent.consent_log_id desc
    limit 1
) as newest on true
