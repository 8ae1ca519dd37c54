-- What was found when scores were looked after: a row a look, a row a figure.
create table ml.watch_runs (
    watch_id bigint generated always as identity primary key,
    watched_at timestamptz not null,
    -- The moment of the scores that were looked at, and of those that they are compared with.
    as_of timestamptz not null,
    baseline_as_of timestamptz not null,
    model_name text not null,
    model_version text not null,
    row_count integer not null,
    verdict text not null check (verdict in ('steady', 'drifted', 'miscalibrated', 'too_few')),
    summary text not null,
    -- Rows per bin of every input, so that a baseline outlives its vectors.
    counts jsonb not null
);
create index watch_runs_version on ml.watch_runs (model_version, as_of);

create table ml.watch_figures (
    watch_id bigint not null references ml.watch_runs (watch_id) on delete cascade,
    kind text not null check (kind in ('input', 'score', 'calibration')),
    name text not null,
    value double precision not null,
    low double precision,
    high double precision,
    row_count integer not null,
    is_alarming boolean not null,
    primary key (watch_id, kind, name)
);
