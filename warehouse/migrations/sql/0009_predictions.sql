-- Predictions beside the conversion score: what each lead is likely to do, how sure that is, and
-- what each model rests on.

-- One row per target and training. A target without enough outcomes has a row too: that it cannot
-- be told is the answer, and the share among the rows there are comes with it.
create table ml.target_models (
    target text not null,
    trained_at timestamptz not null,
    status text not null check (status in ('model', 'base_rate', 'not_enough_evidence')),
    reason text not null,
    rows_used integer not null,
    outcomes integer not null,
    leads integer not null,
    base_rate double precision check (base_rate between 0 and 1),
    low double precision check (low between 0 and 1),
    high double precision check (high between 0 and 1),
    model_name text,
    model_version text,
    figures jsonb not null,
    primary key (target, trained_at)
);

-- The newest prediction of each lead and target: replaced in each run.
create table ml.lead_predictions (
    lead_id text not null,
    target text not null,
    location_id text not null,
    as_of timestamptz not null,
    probability double precision check (probability between -1 and 1),
    low double precision,
    high double precision,
    evidence text not null,
    median_days double precision,
    model_name text,
    model_version text,
    predicted_at timestamptz not null,
    primary key (lead_id, target),
    check (low <= probability and probability <= high)
);

-- How far a location's own outcomes carry: which score they favour, and its rate of conversion.
create table ml.location_evidence (
    location_id text not null primary key,
    as_of timestamptz not null,
    method text not null check (method in ('rules', 'shrunk', 'full')),
    reason text not null,
    leads integer not null,
    outcomes integer not null,
    rate double precision not null check (rate between 0 and 1),
    low double precision not null check (low between 0 and 1),
    high double precision not null check (high between 0 and 1),
    prior_source text not null,
    figures jsonb not null
);

do $$
declare
    relation text;
begin
    if exists (select from pg_roles where rolname = 'leadengine_location') then
        foreach relation in array array['ml.lead_predictions', 'ml.location_evidence']
        loop
            execute format('alter table %s enable row level security', relation);
            execute format(
                'create policy one_location on %s for select to leadengine_location '
                'using (location_id = current_setting(''leadengine.location_id'', true))',
                relation
            );
            execute format('grant select on %s to leadengine_location', relation);
        end loop;
    end if;
end
$$;
