select
    as_of,
    model_version
from ml.feature_blocks
order by as_of desc, block_id desc
limit 1
