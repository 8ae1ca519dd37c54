delete from ml.lead_scores
where
    as_of = %(as_of)s
    and (%(location_id)s::text is null or location_id = %(location_id)s)
