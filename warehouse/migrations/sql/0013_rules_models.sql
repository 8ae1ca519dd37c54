-- The rules score, version by version: what scores while there is no champion. Kept so that scores can
-- be replayed; the version is a digest of the content.
create table ml.rules_models (
    version text primary key,
    -- When it was last found to be the one to use.
    made_at timestamptz not null,
    -- Why no model scores instead.
    reason text not null,
    -- Not jsonb, which writes numbers its own way.
    model text not null
);
