-- A sample that is the same for the same seed, block by block so that each is unpacked once.
with sample as (
    select *
    from ml.lead_scores
    where %(lead_id)s::text is null or lead_id = %(lead_id)s
    order by hashtextextended(lead_id || as_of::text, %(seed)s)
    limit %(limit)s
)

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
    features,
    block_id,
    block_row
from sample
order by block_id, block_row
