/*
    Of what came new into {batch} within a day, more went into the quarantine than into the table:
    what the models would make of the rest is not the truth. A few broken records are no such case.
*/
with newest as (
    select max(finished_at) as finished_at
    from ops.load_runs
    where source = '$source' and entity = '$entity'
)

select
    sum(runs.rows_quarantined) || ' of '
    || sum(runs.rows_quarantined) + sum(runs.rows_loaded)
    || ' new records were set aside within a day' as complaint
from ops.load_runs as runs
cross join newest
where runs.source = '$source' and runs.entity = '$entity'
    and runs.finished_at > newest.finished_at - interval '1 day'
having sum(runs.rows_quarantined) >= 20 and sum(runs.rows_quarantined) > sum(runs.rows_loaded)
