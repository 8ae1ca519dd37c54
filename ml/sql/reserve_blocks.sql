select nextval(pg_get_serial_sequence('ml.feature_blocks', 'block_id'))
from generate_series(1, %s)
