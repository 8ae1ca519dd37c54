delete from ml.feature_blocks
where stored_at < %(before)s
