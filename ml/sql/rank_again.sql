-- After one location was scored: places among all leads of the moment, written where they changed.
with ranked as (
    select
        lead_id,
        row_number() over (order by score desc, lead_id collate "C") as place
    from ml.lead_scores
    where as_of = %(as_of)s
)

update ml.lead_scores as scores
set rank = ranked.place
from ranked
where
    scores.as_of = %(as_of)s
    and scores.lead_id = ranked.lead_id
    and scores.rank <> ranked.place
