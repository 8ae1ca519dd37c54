-- What has happened to people that can move or end a sequence, whichever of a person's records it
-- was noted under: from the loaded warehouse, and sooner from the providers' webhooks.
with people as (
    select
        asked.lead_id,
        coalesce(identities.lead_id, asked.lead_id) as person_id
    from unnest(%(lead_ids)s::text[]) as asked (lead_id)
    left join lateral (
        select lead_id
        from intermediate.int_lead_identities
        where record_lead_id = asked.lead_id
        limit 1
    ) as identities on true
),

records as (
    select distinct
        people.lead_id,
        identities.location_id,
        identities.record_id
    from people
    inner join intermediate.int_lead_identities as identities
        on people.person_id = identities.lead_id
)

select
    people.lead_id,
    'reply' as kind,
    replies.occurred_at as at,
    replies.known_at,
    replies.event_id as evidence,
    null as value,
    null::integer as step,
    null::uuid as batch_id
from people
inner join marts.fct_communications as replies on people.person_id = replies.lead_id
where replies.direction = 'inbound' and replies.occurred_at >= %(since)s

union all

select
    people.lead_id,
    'reply' as kind,
    texts.received_at as at,
    texts.received_at as known_at,
    'twilio:' || texts.event_id as evidence,
    null as value,
    null::integer as step,
    null::uuid as batch_id
from people
inner join intermediate.int_lead_addresses as addresses
    on people.person_id = addresses.lead_id and addresses.channel = 'sms'
inner join ops.webhook_events as texts
    on
        texts.payload ->> 'From' = addresses.address
        and texts.event_type = 'message.received'
        and texts.provider = 'twilio'
where texts.received_at >= %(since)s

union all

select
    sends.lead_id,
    events.event_type as kind,
    events.received_at as at,
    events.received_at as known_at,
    'sendgrid:' || events.event_id as evidence,
    null as value,
    null::integer as step,
    null::uuid as batch_id
from ops.sends
inner join ops.webhook_events as events
    on
        events.payload ->> 'send_id' = sends.send_id::text
        and events.event_type in ('open', 'click')
        and events.provider = 'sendgrid'
where
    sends.lead_id = any(%(lead_ids)s)
    and events.received_at >= %(since)s
    -- Following the way out is no sign of interest.
    and coalesce(events.payload ->> 'url', '') not like '%%/unsubscribe/%%'

union all

select
    people.lead_id,
    case emails.event_type when 'opened' then 'open' else 'click' end as kind,
    emails.occurred_at as at,
    emails.known_at,
    emails.event_id as evidence,
    null as value,
    null::integer as step,
    null::uuid as batch_id
from people
inner join marts.fct_email_events as emails on people.person_id = emails.lead_id
where emails.event_type in ('opened', 'clicked') and emails.occurred_at >= %(since)s

union all

-- A word against counts from when it is known: one that came late must stop as well.
select
    records.lead_id,
    'opt_out' as kind,
    words.known_at as at,
    words.known_at,
    words.evidence_key as evidence,
    words.channel as value,
    null::integer as step,
    null::uuid as batch_id
from records
inner join ops.consent_logs as words
    on records.location_id = words.location_id and records.record_id = words.contact_id
where
    words.action = 'revoked'
    and words.purpose = 'marketing'
    and words.channel in ('sms', 'email')
    and words.known_at >= %(since)s

union all

select
    people.lead_id,
    'appointment' as kind,
    appointments.booked_at as at,
    appointments.known_at,
    'appointment:' || appointments.appointment_id as evidence,
    null as value,
    null::integer as step,
    null::uuid as batch_id
from people
inner join marts.fct_appointments as appointments on people.person_id = appointments.lead_id
where appointments.status != 'cancelled' and appointments.booked_at >= %(since)s

union all

select
    people.lead_id,
    'won' as kind,
    deals.closed_at as at,
    deals.known_at,
    'opportunity:' || deals.opportunity_id as evidence,
    null as value,
    null::integer as step,
    null::uuid as batch_id
from people
inner join marts.fct_opportunities as deals on people.person_id = deals.lead_id
where deals.status = 'won' and deals.closed_at >= %(since)s

union all

select
    people.lead_id,
    'tier' as kind,
    priorities.as_of as at,
    priorities.as_of as known_at,
    'score:' || coalesce(priorities.model_version, '') || ' of '
    || to_char(priorities.as_of at time zone 'UTC', 'YYYY-MM-DD HH24:MI') as evidence,
    priorities.tier as value,
    null::integer as step,
    null::uuid as batch_id
from people
inner join marts.lead_priorities as priorities on people.person_id = priorities.lead_id

union all

-- What became of the sequence's own messages. Failed with a time of sending: the provider took it.
select
    sends.lead_id,
    case
        when sends.status in ('sent', 'delivered') then 'sent'
        when sends.status = 'cancelled' then 'cancelled'
        else 'refused'
    end as kind,
    coalesce(
        case when sends.status in ('sent', 'delivered', 'failed') then sends.sent_at end,
        sends.settled_at,
        sends.created_at
    ) as at,
    null as known_at,
    'send:' || sends.send_id as evidence,
    case
        when sends.status in ('sent', 'delivered') then sends.template_id || ' by ' || sends.channel
        else sends.status_reason
    end as value,
    sends.step,
    sends.batch_id
from ops.sends
where
    sends.lead_id = any(%(lead_ids)s)
    and sends.batch_id = any(%(batch_ids)s)
    and sends.status in ('sent', 'delivered', 'failed', 'rejected', 'cancelled')
