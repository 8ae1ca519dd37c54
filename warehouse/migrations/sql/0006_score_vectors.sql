-- What a stored score is replayed from. Scores of a run keep their vectors in blocks of some
-- thousand rows of one location, packed column by column (ml/vectors.py), a tenth of what a row's
-- jsonb took; a score made online keeps its own. Vectors are dropped after SCORE_VECTOR_DAYS.
create table ml.feature_blocks (
    block_id bigint generated always as identity primary key,
    location_id text not null,
    as_of timestamptz not null,
    model_name text not null,
    model_version text not null,
    row_count integer not null check (row_count > 0),
    vectors bytea not null,
    stored_at timestamptz not null
);
create index feature_blocks_as_of on ml.feature_blocks (as_of);
create index feature_blocks_stored_at on ml.feature_blocks (stored_at);

alter table ml.lead_scores
    -- Jsonb of a lead's features, of scores stored before there were blocks.
    alter column features drop not null,
    -- No foreign key: blocks are dropped after a time, scores are not.
    add column block_id bigint,
    add column block_row integer,
    -- Log-odds of the score are base + other + the contributions in reasons. Null without reasons.
    add column base_log_odds double precision,
    add column other_log_odds double precision,
    add constraint lead_scores_can_be_replayed check (features is not null or block_id is not null);

create table ml.online_scores (
    score_id uuid primary key,
    lead_id text not null,
    location_id text not null,
    as_of timestamptz not null,
    score double precision not null check (score >= 0 and score <= 1),
    tier text not null check (tier in ('hot', 'warm', 'cool', 'cold')),
    reasons jsonb not null,
    base_log_odds double precision not null,
    other_log_odds double precision not null,
    model_name text not null,
    model_version text not null,
    features_digest text not null,
    vector bytea,
    scored_at timestamptz not null
);
create index online_scores_lead on ml.online_scores (lead_id, as_of);
create index online_scores_scored_at on ml.online_scores (scored_at);

do $$
declare
    relation text;
begin
    if exists (select from pg_roles where rolname = 'leadengine_location') then
        foreach relation in array array['ml.feature_blocks', 'ml.online_scores']
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

-- The columns of a view are those that there were when it was made.
create or replace view ml.current_lead_scores as
select *
from ml.lead_scores
where as_of = (select max(latest.as_of) from ml.lead_scores as latest);
