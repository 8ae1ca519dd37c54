insert into ml.online_scores (
    score_id, lead_id, location_id, as_of, score, tier, reasons, base_log_odds, other_log_odds,
    model_name, model_version, features_digest, vector, scored_at
)
values (
    %(score_id)s, %(lead_id)s, %(location_id)s, %(as_of)s, %(score)s, %(tier)s, %(reasons)s::jsonb,
    %(base_log_odds)s, %(other_log_odds)s, %(model_name)s, %(model_version)s, %(features_digest)s,
    %(vector)b, %(scored_at)s
)
on conflict (score_id) do nothing
