-- Blocks spread over all locations of the run; the same ones each time.
select vectors
from ml.feature_blocks
where
    as_of = %(as_of)s
    and model_version = %(version)s
order by hashint8extended(block_id, 0)
limit %(blocks)s
