delete from ml.feature_blocks
where
    as_of = %(as_of)s
    and (%(location_id)s::text is null or location_id = %(location_id)s)
