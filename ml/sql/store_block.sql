insert into ml.feature_blocks (
    block_id, location_id, as_of, model_name, model_version, row_count, vectors, stored_at,
    feature_columns
)
overriding system value
values (%s, %s, %s, %s, %s, %s, %b, %s, %s)
