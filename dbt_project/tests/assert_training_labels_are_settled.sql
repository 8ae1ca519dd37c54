-- No training point whose label window is still running: its zero would mean nothing yet.
select
    lead_id,
    as_of
from {{ ref('lead_training_set') }}
where {{ days_after(var('label_days'), 'as_of') }} > {{ scoring_moment() }}
