-- Every lead of the audience, best first, with all that the decision looks at. One row a lead, which
-- is a person: what was noted under any of the person's records counts.
with audience as (
    select
        leads.lead_id,
        leads.location_id,
        priorities.score,
        coalesce(priorities.tier, 'client') as tier,
        priorities.rank,
        leads.contact_id,
        leads.first_name,
        leads.email,
        leads.phone,
        leads.is_email_valid,
        leads.is_phone_valid,
        leads.assigned_agent_name,
        leads.timezone,
        leads.state,
        leads.city,
        leads.is_dnd_all,
        leads.is_dnd_sms,
        leads.is_dnd_email,
        leads.lead_intent,
        leads.beds,
        leads.property_type
    from marts.dim_leads as leads
    left join marts.lead_priorities as priorities on leads.lead_id = priorities.lead_id
    where
        -- Clients have no score: theirs is for leads who may still convert.
        case %(written_for)s::text
            when 'clients' then leads.status = 'won'
            else leads.is_open and priorities.lead_id is not null
        end
        and (
            %(won_days_min)s::int is null
            or leads.closed_at
            <= %(as_of)s::timestamptz - make_interval(days => %(won_days_min)s::int)
        )
        and (
            %(won_days_max)s::int is null
            or leads.closed_at
            >= %(as_of)s::timestamptz - make_interval(days => %(won_days_max)s::int)
        )
        and (%(tiers)s::text[] is null or priorities.tier = any(%(tiers)s::text[]))
        and (%(min_score)s::float8 is null or priorities.score >= %(min_score)s::float8)
        and (%(max_score)s::float8 is null or priorities.score <= %(max_score)s::float8)
        and (%(sources)s::text[] is null or leads.source = any(%(sources)s::text[]))
        and (
            %(lead_intents)s::text[] is null
            or leads.lead_intent = any(%(lead_intents)s::text[])
        )
        and (
            %(has_replied)s::boolean is null
            or (leads.last_inbound_at is not null) = %(has_replied)s::boolean
        )
        and (
            %(silent_days_min)s::int is null
            or coalesce(greatest(leads.last_inbound_at, leads.last_outbound_at), leads.created_at)
            <= %(as_of)s::timestamptz - make_interval(days => %(silent_days_min)s::int)
        )
        and (
            %(silent_days_max)s::int is null
            or coalesce(greatest(leads.last_inbound_at, leads.last_outbound_at), leads.created_at)
            >= %(as_of)s::timestamptz - make_interval(days => %(silent_days_max)s::int)
        )
        and (
            %(age_days_max)s::int is null
            or leads.created_at
            >= %(as_of)s::timestamptz - make_interval(days => %(age_days_max)s::int)
        )
        and (
            %(no_show_days_max)s::int is null
            or exists (
                select 1
                from marts.fct_appointments as missed
                where
                    missed.lead_id = leads.lead_id
                    and missed.status = 'no_show'
                    and missed.starts_at
                    >= %(as_of)s::timestamptz - make_interval(days => %(no_show_days_max)s::int)
                    and not exists (
                        select 1
                        from marts.fct_appointments as later
                        where
                            later.lead_id = missed.lead_id
                            and later.starts_at > missed.starts_at
                            and later.status != 'cancelled'
                    )
            )
        )
        and (
            %(lead_ids)s::text[] is null
            or leads.lead_id = any(%(lead_ids)s::text[])
        )
),

-- The record that a note is about, and whose it is now.
records as (
    select distinct
        location_id,
        record_id,
        lead_id
    from intermediate.int_lead_identities
),

consent as (
    select
        consent_logs.consent_log_id,
        consent_logs.channel,
        consent_logs.action,
        consent_logs.source,
        consent_logs.occurred_at,
        consent_logs.evidence_key,
        coalesce(records.lead_id, consent_logs.lead_id) as lead_id
    from ops.consent_logs
    left join records
        on
            consent_logs.location_id = records.location_id
            and consent_logs.contact_id = records.record_id
    left join marts.dim_leads as leads on records.lead_id = leads.lead_id
    where
        consent_logs.purpose = 'marketing'
        and consent_logs.channel in ('sms', 'email')
        -- A word against counts even if its clock runs ahead of ours.
        and (consent_logs.occurred_at <= %(as_of)s or consent_logs.action = 'revoked')
        -- A yes counts for the contact that gave it, a no for the person.
        and (
            consent_logs.action = 'revoked'
            or consent_logs.contact_id = coalesce(leads.contact_id, consent_logs.contact_id)
        )
),

-- On a tie the word against wins.
lead_consent as (
    select distinct on (lead_id, channel)
        lead_id,
        channel,
        consent_log_id,
        action,
        source,
        occurred_at,
        evidence_key
    from consent
    order by lead_id asc, channel asc, occurred_at desc, action desc, consent_log_id desc
),

-- The newest word for an address, whoever of those that share it gave it.
addresses as (
    select
        addresses.lead_id,
        addresses.location_id,
        addresses.channel,
        addresses.address,
        leads.is_dnd_all
        or case addresses.channel when 'sms' then leads.is_dnd_sms else leads.is_dnd_email end
            as is_dnd
    from intermediate.int_lead_addresses as addresses
    inner join marts.dim_leads as leads on addresses.lead_id = leads.lead_id
),

address_consent as (
    select distinct on (addresses.location_id, addresses.channel, addresses.address)
        addresses.location_id,
        addresses.channel,
        addresses.address,
        consent.action
    from consent
    inner join addresses
        on consent.lead_id = addresses.lead_id and consent.channel = addresses.channel
    order by
        addresses.location_id asc,
        addresses.channel asc,
        addresses.address asc,
        consent.occurred_at desc,
        consent.action desc
),

opted_out as (
    select location_id, channel, address
    from address_consent
    where action = 'revoked'
),

address_dnd as (
    select distinct location_id, channel, address
    from addresses
    where is_dnd
),

-- Numbers and emails on a do-not-call list of the location or of everybody.
listed as (
    select
        contacts.lead_id,
        contacts.channel,
        array_agg(distinct lists.kind) as kinds
    from (
        select lead_id, location_id, 'sms' as channel, phone as address
        from audience
        union all
        select lead_id, location_id, 'email' as channel, email as address
        from audience
    ) as contacts
    inner join ops.do_not_call as lists
        on
            contacts.channel = lists.channel
            and contacts.address = lists.address
            and lists.location_id in ('*', contacts.location_id)
    group by contacts.lead_id, contacts.channel
),

history as (
    select
        coalesce(records.lead_id, sends.lead_id) as lead_id,
        bool_or(sends.sequence = %(sequence)s and sends.step = %(step)s) as already_sent,
        bool_or(
            sends.sequence != %(sequence)s and sends.status in ('intent', 'claimed', 'unsettled')
        ) as in_other_sequence,
        array_agg(coalesce(sends.sent_at, sends.not_before)) filter (
            where
            sends.status not in ('rejected', 'failed')
            and coalesce(sends.sent_at, sends.not_before)
            > %(as_of)s::timestamptz - %(cap_window)s::interval
        ) as recent_sends
    from ops.sends
    left join records
        on sends.location_id = records.location_id and sends.contact_id = records.record_id
    where
        sends.status in ('intent', 'claimed', 'unsettled', 'sent', 'delivered', 'failed', 'rejected')
    group by coalesce(records.lead_id, sends.lead_id)
),

-- Whoever heard from another sequence of late, and waits for what follows, is on its way.
on_the_way as (
    select distinct coalesce(records.lead_id, enrollments.lead_id) as lead_id
    from ops.enrollments
    left join records
        on
            enrollments.location_id = records.location_id
            and enrollments.contact_id = records.record_id
    where
        enrollments.status = 'active'
        and enrollments.sequence != %(sequence)s
        and coalesce(enrollments.step_at, enrollments.enrolled_at)
        > %(as_of)s::timestamptz - interval '14 days'
),

-- Another lead at the same address (a contact merged or made anew) may have had this step.
reached_addresses as (
    select distinct location_id, channel, to_address
    from ops.sends
    where
        sequence = %(sequence)s
        and step = %(step)s
        and status in ('intent', 'claimed', 'unsettled', 'sent', 'delivered')
)

select
    audience.*,
    count(*) over () as audience_size,
    sms.consent_log_id as sms_consent_log_id,
    sms.action as sms_action,
    sms.source as sms_source,
    sms.occurred_at as sms_occurred_at,
    sms_suppression.address is not null as sms_suppressed,
    sms_opted_out.address is not null as sms_address_opted_out,
    sms_dnd.address is not null as sms_address_dnd,
    email.consent_log_id as email_consent_log_id,
    email.action as email_action,
    email.source as email_source,
    email.occurred_at as email_occurred_at,
    email_suppression.address is not null as email_suppressed,
    email_opted_out.address is not null as email_address_opted_out,
    email_dnd.address is not null as email_address_dnd,
    coalesce(sms_listed.kinds, '{}') as sms_do_not_call,
    coalesce(email_listed.kinds, '{}') as email_do_not_call,
    lines.line_type,
    lines.is_valid as is_line_valid,
    (
        coalesce(history.already_sent, false)
        or sms_reached.to_address is not null
        or email_reached.to_address is not null
    ) as already_sent,
    (
        coalesce(history.in_other_sequence, false) or on_the_way.lead_id is not null
    ) as in_other_sequence,
    coalesce(history.recent_sends, '{}') as recent_sends
from audience
left join lead_consent as sms on audience.lead_id = sms.lead_id and sms.channel = 'sms'
left join lead_consent as email on audience.lead_id = email.lead_id and email.channel = 'email'
left join ops.suppressions as sms_suppression
    on
        audience.location_id = sms_suppression.location_id
        and sms_suppression.channel = 'sms'
        and audience.phone = sms_suppression.address
left join ops.suppressions as email_suppression
    on
        audience.location_id = email_suppression.location_id
        and email_suppression.channel = 'email'
        and audience.email = email_suppression.address
left join opted_out as sms_opted_out
    on
        audience.location_id = sms_opted_out.location_id
        and sms_opted_out.channel = 'sms'
        and audience.phone = sms_opted_out.address
left join opted_out as email_opted_out
    on
        audience.location_id = email_opted_out.location_id
        and email_opted_out.channel = 'email'
        and audience.email = email_opted_out.address
left join address_dnd as sms_dnd
    on
        audience.location_id = sms_dnd.location_id
        and sms_dnd.channel = 'sms'
        and audience.phone = sms_dnd.address
left join address_dnd as email_dnd
    on
        audience.location_id = email_dnd.location_id
        and email_dnd.channel = 'email'
        and audience.email = email_dnd.address
left join listed as sms_listed
    on audience.lead_id = sms_listed.lead_id and sms_listed.channel = 'sms'
left join listed as email_listed
    on audience.lead_id = email_listed.lead_id and email_listed.channel = 'email'
left join ops.phone_lines as lines on audience.phone = lines.address
left join reached_addresses as sms_reached
    on
        audience.location_id = sms_reached.location_id
        and sms_reached.channel = 'sms'
        and audience.phone = sms_reached.to_address
left join reached_addresses as email_reached
    on
        audience.location_id = email_reached.location_id
        and email_reached.channel = 'email'
        and audience.email = email_reached.to_address
left join history on audience.lead_id = history.lead_id
left join on_the_way on audience.lead_id = on_the_way.lead_id
order by audience.score desc nulls last, audience.lead_id
