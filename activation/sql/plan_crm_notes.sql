-- A note of each message that a provider took, at the contact that the CRM still has of its lead.
insert into ops.crm_actions (location_id, contact_id, lead_id, kind, once_key, content, created_at)
select
    leads.location_id,
    leads.contact_id,
    leads.lead_id,
    'note',
    sends.send_id::text,
    jsonb_build_object(
        'channel', sends.channel,
        'sent_at', sends.sent_at,
        'subject', sends.subject,
        'body', sends.body,
        'sequence', sends.sequence,
        'step', sends.step,
        'approved_by', batches.approved_by
    ),
    %(now)s
from ops.sends as sends
inner join ops.batches as batches on sends.batch_id = batches.batch_id
left join lateral (
    select lead_id
    from intermediate.int_lead_identities
    where record_lead_id = sends.lead_id
    limit 1
) as identities on true
inner join marts.dim_leads as leads
    on coalesce(identities.lead_id, sends.lead_id) = leads.lead_id and leads.origin = 'ghl'
where
    sends.location_id = %(location_id)s
    and sends.status in ('sent', 'delivered')
    and sends.sent_at > %(now)s - interval '30 days'
    and not exists (
        select 1
        from ops.crm_writes as writes
        where
            writes.location_id = leads.location_id
            and writes.contact_id = leads.contact_id
            and writes.status = 'gone'
    )
on conflict (kind, once_key) do nothing
