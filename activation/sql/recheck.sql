-- What the decision looks at, read again for claimed messages at the moment of sending; one row a
-- message. A lead may have turned out to be part of another one since; what was noted under any of
-- the person's records counts.
with messages as (
    select
        sends.send_id,
        sends.lead_id,
        sends.location_id,
        sends.channel,
        sends.to_address,
        coalesce(identities.lead_id, sends.lead_id) as person_id,
        coalesce(
            (batches.summary -> 'journey' ->> 'sequence')::jsonb ->> 'written_for' = 'clients',
            false
        ) as is_for_clients,
        items.tier as planned_tier,
        items.template_version as planned_template_version,
        -- What was decided when the batch was planned rests on that moment, a later step on its own.
        case when items.lead_id is null then sends.created_at else batches.as_of end as decided_at
    from ops.sends
    left join lateral (
        select others.lead_id
        from intermediate.int_lead_identities as others
        where others.record_lead_id = sends.lead_id
        limit 1
    ) as identities on true
    left join ops.batches on sends.batch_id = batches.batch_id
    left join ops.batch_items as items
        on sends.batch_id = items.batch_id and sends.lead_id = items.lead_id and sends.step = 1
    where sends.send_id = any(%(send_ids)s)
)

select
    messages.send_id,
    messages.person_id,
    messages.is_for_clients,
    -- Clients have no tier that could change.
    case when not messages.is_for_clients then messages.planned_tier end as planned_tier,
    messages.planned_template_version,
    leads.lead_id is not null as is_known,
    case
        when messages.is_for_clients then leads.status = 'won'
        else leads.is_open
    end as is_open,
    nullif(leads.lead_id, messages.lead_id) as duplicate_of_lead_id,
    leads.timezone,
    leads.state,
    leads.phone,
    leads.is_dnd_all,
    leads.is_dnd_sms,
    leads.is_dnd_email,
    priorities.tier,
    address.is_dnd as is_address_dnd,
    address_word.action as address_action,
    exists (
        select 1
        from ops.suppressions
        where
            suppressions.location_id = messages.location_id
            and suppressions.channel = messages.channel
            and suppressions.address = messages.to_address
    ) as is_suppressed,
    (
        select coalesce(array_agg(distinct lists.kind), '{}')
        from ops.do_not_call as lists
        where
            lists.channel = messages.channel
            and lists.address = messages.to_address
            and lists.location_id in ('*', messages.location_id)
    ) as do_not_call,
    (
        select phone_lines.line_type
        from ops.phone_lines
        where phone_lines.address = messages.to_address
    ) as line_type,
    history.recent_sends,
    exists (
        select 1
        from marts.fct_communications as replies
        where
            replies.lead_id = messages.person_id
            and replies.direction = 'inbound'
            and replies.occurred_at > messages.decided_at
    )
    or exists (
        -- A text that came in and is not loaded yet.
        select 1
        from ops.webhook_events as texts
        where
            messages.channel = 'sms'
            and texts.provider = 'twilio'
            and texts.event_type = 'message.received'
            and texts.payload ->> 'From' = messages.to_address
            -- Who asks for help, or to hear from us again, has not replied.
            and ops.keyword(texts.payload ->> 'Body') is null
            and texts.received_at > messages.decided_at
    ) as has_replied,
    exists (
        select 1
        from marts.fct_appointments as appointments
        where
            appointments.lead_id = messages.person_id
            and appointments.booked_at > messages.decided_at
            and appointments.status is distinct from 'cancelled'
    ) as has_booked,
    to_jsonb(newest) as consent,
    newest.occurred_at as consent_occurred_at
from messages
left join marts.dim_leads as leads on messages.person_id = leads.lead_id
left join marts.lead_priorities as priorities on messages.person_id = priorities.lead_id
cross join lateral (
    select
        coalesce(
            bool_or(
                others.is_dnd_all
                or case messages.channel
                    when 'sms' then others.is_dnd_sms
                    else others.is_dnd_email
                end
            ),
            false
        ) as is_dnd
    from intermediate.int_lead_addresses as addresses
    inner join marts.dim_leads as others on addresses.lead_id = others.lead_id
    where
        addresses.location_id = messages.location_id
        and addresses.channel = messages.channel
        and addresses.address = messages.to_address
) as address
left join lateral (
    -- The newest word for the address, whoever of those that share it gave it.
    select consent.action
    from intermediate.int_lead_addresses as addresses
    inner join marts.dim_leads as others on addresses.lead_id = others.lead_id
    inner join intermediate.int_lead_identities as identities
        on others.lead_id = identities.lead_id
    inner join ops.consent_logs as consent
        on
            identities.location_id = consent.location_id
            and identities.record_id = consent.contact_id
    where
        addresses.location_id = messages.location_id
        and addresses.channel = messages.channel
        and addresses.address = messages.to_address
        and consent.channel = messages.channel
        and consent.purpose = 'marketing'
        and (consent.occurred_at <= %(now)s or consent.action = 'revoked')
        and (
            consent.action = 'revoked'
            or consent.contact_id = coalesce(others.contact_id, consent.contact_id)
        )
    order by consent.occurred_at desc, consent.action desc
    limit 1
) as address_word on true
cross join lateral (
    select coalesce(array_agg(coalesce(recent.sent_at, recent.not_before)), '{}') as recent_sends
    from (
        select
            sends.send_id,
            sends.status,
            sends.sent_at,
            sends.not_before
        from ops.sends
        where sends.lead_id = messages.lead_id
        union
        select
            sends.send_id,
            sends.status,
            sends.sent_at,
            sends.not_before
        from intermediate.int_lead_identities as records
        inner join ops.sends
            on
                records.record_id = sends.contact_id
                and sends.location_id = messages.location_id
        where records.lead_id = messages.person_id
    ) as recent
    where
        -- Those claimed with it are judged after it.
        recent.send_id != all(%(send_ids)s)
        and recent.status in ('claimed', 'unsettled', 'sent', 'delivered')
        and coalesce(recent.sent_at, recent.not_before)
        > %(now)s::timestamptz - %(cap_window)s::interval
) as history
left join lateral (
    select consent.*
    from intermediate.int_lead_identities as records
    inner join ops.consent_logs as consent
        on records.record_id = consent.contact_id
    where
        records.lead_id = messages.person_id
        and consent.location_id = messages.location_id
        and consent.channel = messages.channel
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
