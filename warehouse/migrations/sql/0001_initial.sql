-- The engine's own tables. Provider data live in raw_*, which the loader makes; models in
-- staging, intermediate and marts, which dbt makes.
create schema if not exists raw_ghl;
create schema if not exists raw_twilio;
create schema if not exists raw_sendgrid;
create schema if not exists raw_apollo;
create schema if not exists raw_import;
create schema if not exists staging;
create schema if not exists intermediate;
create schema if not exists marts;
create schema if not exists ml;
create schema if not exists ops;

create table ops.batches (
    batch_id uuid primary key,
    audience text not null,
    sequence text not null,
    channels text[] not null,
    requested_size integer not null check (requested_size > 0),
    holdout_share double precision not null check (holdout_share >= 0 and holdout_share < 1),
    seed integer not null,
    status text not null check (
        status in ('planned', 'approved', 'dispatching', 'done', 'cancelled', 'expired')
    ),
    dry_run boolean not null,
    as_of timestamptz not null,
    digest text not null,
    summary jsonb not null,
    planned_by text not null,
    planned_at timestamptz not null,
    approved_by text,
    approved_at timestamptz,
    finished_at timestamptz
);

create table ops.batch_items (
    batch_id uuid not null references ops.batches (batch_id) on delete cascade,
    lead_id text not null,
    location_id text not null,
    contact_id text not null,
    decision text not null check (decision in ('send', 'holdout', 'suppress')),
    reason_code text not null,
    reason text not null,
    channel text,
    send_at timestamptz,
    to_address text,
    template_id text,
    template_version text,
    subject text,
    body text,
    score double precision,
    tier text,
    rank integer,
    primary key (batch_id, lead_id)
);
create index batch_items_lead on ops.batch_items (lead_id);

create table ops.consent_logs (
    consent_log_id bigint generated always as identity primary key,
    location_id text not null,
    lead_id text not null,
    contact_id text not null,
    channel text not null check (channel in ('sms', 'email', 'call')),
    purpose text not null check (purpose in ('marketing', 'transactional')),
    action text not null check (action in ('granted', 'revoked')),
    source text not null,
    method text not null,
    consent_text text,
    occurred_at timestamptz not null,
    known_at timestamptz not null,
    evidence_key text not null unique,
    recorded_by text not null,
    created_at timestamptz not null default now()
);
create index consent_logs_latest
on ops.consent_logs (lead_id, channel, purpose, occurred_at desc);

create table ops.sends (
    send_id uuid primary key,
    batch_id uuid not null references ops.batches (batch_id),
    lead_id text not null,
    location_id text not null,
    contact_id text not null,
    channel text not null check (channel in ('sms', 'email')),
    to_address text not null,
    from_address text not null,
    subject text,
    body text not null,
    body_digest text not null,
    template_id text not null,
    template_version text not null,
    sequence text not null,
    step integer not null,
    idempotency_key text not null unique,
    status text not null check (
        status in (
            'intent', 'claimed', 'sent', 'delivered', 'failed', 'rejected', 'unsettled',
            'cancelled'
        )
    ),
    status_reason text,
    not_before timestamptz not null,
    claimed_by text,
    claimed_at timestamptz,
    attempts integer not null default 0,
    provider text,
    provider_message_id text,
    consent_log_id bigint references ops.consent_logs (consent_log_id),
    consent_hash text,
    rule_version text,
    model_version text,
    score double precision,
    created_at timestamptz not null,
    sent_at timestamptz,
    settled_at timestamptz
);
create index sends_due on ops.sends (not_before) where status = 'intent';
create index sends_lead on ops.sends (lead_id, sent_at);
create index sends_batch on ops.sends (batch_id);
create index sends_provider_message on ops.sends (provider, provider_message_id);

create table ops.suppressions (
    location_id text not null,
    channel text not null check (channel in ('sms', 'email', 'call')),
    address text not null,
    reason text not null,
    source text not null,
    created_at timestamptz not null,
    primary key (location_id, channel, address)
);

create table ops.audit_trail (
    audit_id bigint generated always as identity primary key,
    at timestamptz not null default now(),
    actor text not null,
    action text not null,
    entity text not null,
    entity_id text not null,
    location_id text,
    detail jsonb not null
);
create index audit_trail_entity on ops.audit_trail (entity, entity_id);

create table ops.webhook_events (
    provider text not null,
    event_id text not null,
    received_at timestamptz not null default now(),
    event_type text not null,
    payload jsonb not null,
    handled_at timestamptz,
    handling_error text,
    primary key (provider, event_id)
);

create table ops.crm_writes (
    location_id text not null,
    contact_id text not null,
    field_digest text not null,
    fields jsonb not null,
    tags text[] not null,
    written_at timestamptz not null,
    status text not null,
    primary key (location_id, contact_id)
);

create table ops.quarantine (
    quarantine_id bigint generated always as identity primary key,
    source text not null,
    entity text not null,
    location_id text,
    row_key text,
    reason text not null,
    payload jsonb not null,
    payload_digest text not null,
    load_id text,
    created_at timestamptz not null default now()
);
create unique index quarantine_once
on ops.quarantine (source, entity, coalesce(row_key, ''), payload_digest);

create table ops.import_files (
    import_id uuid primary key,
    file_name text not null,
    file_digest text not null,
    mapping jsonb not null,
    rows_read integer not null,
    rows_loaded integer not null,
    rows_rejected integer not null,
    imported_at timestamptz not null
);

create table ops.rate_limits (
    key text primary key,
    full_at timestamptz not null
);

create table ops.load_runs (
    load_run_id bigint generated always as identity primary key,
    source text not null,
    entity text not null,
    location_id text,
    started_at timestamptz not null,
    finished_at timestamptz not null,
    rows_loaded integer not null,
    rows_quarantined integer not null,
    cursor text,
    full_load boolean not null
);
create index load_runs_entity on ops.load_runs (source, entity, finished_at);

create table ml.lead_scores (
    lead_id text not null,
    location_id text not null,
    as_of timestamptz not null,
    score double precision not null check (score >= 0 and score <= 1),
    tier text not null check (tier in ('hot', 'warm', 'cool', 'cold')),
    rank integer not null,
    reasons jsonb not null,
    model_name text not null,
    model_version text not null,
    features_digest text not null,
    features jsonb not null,
    scored_at timestamptz not null,
    primary key (lead_id, as_of)
);
create index lead_scores_as_of on ml.lead_scores (as_of);

-- Only the newest run counts: a lead that is no longer open falls out of it.
create view ml.current_lead_scores as
select *
from ml.lead_scores
where as_of = (select max(latest.as_of) from ml.lead_scores as latest);

create table raw_import.leads (
    import_id uuid not null,
    row_number integer not null,
    location_id text not null,
    external_id text not null,
    first_name text,
    last_name text,
    email text,
    phone text,
    source text,
    created_at timestamptz,
    outcome boolean,
    outcome_at timestamptz,
    attributes jsonb not null,
    _loaded_at timestamptz not null,
    _known_at timestamptz not null,
    _backfill boolean not null,
    primary key (import_id, row_number)
);
create index leads_external_id on raw_import.leads (location_id, external_id);
