update ml.online_scores
set vector = null
where
    scored_at < %(before)s
    and vector is not null
