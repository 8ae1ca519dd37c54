-- What claims, rechecks and lookups read, each by an index of its own.
drop index ops.sends_due;
-- In the order in which a sender's messages are claimed.
create index sends_due
on ops.sends (channel, from_address, not_before, score desc nulls last, send_id)
where status = 'intent';
create index sends_due_at on ops.sends (not_before) where status = 'intent';
create index sends_open on ops.sends (status, claimed_at, send_id)
where status in ('claimed', 'unsettled');
create index sends_contact on ops.sends (location_id, contact_id);
create index sends_address on ops.sends (to_address, sent_at);
create index consent_logs_contact
on ops.consent_logs (location_id, contact_id, channel, purpose, occurred_at desc);
create index webhook_events_texts on ops.webhook_events ((payload ->> 'From'), received_at)
where provider = 'twilio' and event_type = 'message.received';
