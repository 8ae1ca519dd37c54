-- Scores of one run, with the features as the model saw them: the caller holds a lock on
-- marts.lead_features from before it reads until this is done.
insert into ml.lead_scores (
    lead_id, location_id, as_of, score, tier, rank, reasons, model_name, model_version,
    features_digest, features, scored_at
)
select
    scored.lead_id,
    features.location_id,
    features.as_of,
    scored.score,
    scored.tier,
    scored.rank,
    scored.reasons,
    %(model_name)s,
    %(model_version)s,
    scored.features_digest,
    to_jsonb(features) - '{lead_id,location_id,as_of}'::text[],
    %(scored_at)s
from pg_temp.scored
inner join marts.lead_features as features using (lead_id)
