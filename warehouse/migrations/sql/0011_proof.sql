-- What `leadengine explain-send` reads: the names of a block's columns, so that a vector can be told
-- without the registry, and the webhooks of one message.
alter table ml.feature_blocks add column feature_columns jsonb;

create index webhook_events_send on ops.webhook_events ((payload ->> 'send_id'))
where payload ? 'send_id';
