select
    lead_id,
    as_of,
    score,
    tier,
    reasons,
    base_log_odds,
    other_log_odds,
    model_name,
    model_version,
    features_digest,
    vector
from ml.online_scores
where %(lead_id)s::text is null or lead_id = %(lead_id)s
order by hashtextextended(score_id::text, %(seed)s)
limit %(limit)s
