/*
    What came into {batch} within a day, by location, against a day of the four weeks before.
    A location's first load brings its whole past and counts for neither. A week of history is needed
    for a judgement, and a table in which little happens is never judged for being quiet.
*/
with runs as (
    select
        coalesce(location_id, '-') as location_id,
        finished_at,
        rows_loaded,
        max(finished_at) over () as newest,
        row_number() over (partition by location_id order by finished_at) as place,
        min(finished_at) over (partition by location_id) as began
    from ops.load_runs
    where source = '$source' and entity = '$entity'
),

daily as (
    select
        location_id,
        coalesce(sum(rows_loaded) filter (where finished_at > newest - interval '1 day'), 0) as rows,
        coalesce(sum(rows_loaded) filter (where finished_at <= newest - interval '1 day'), 0)
        / (extract(epoch from max(newest) - greatest(min(began), max(newest) - interval '28 days'))
            / 86400 - 1) as usual
    from runs
    where place > 1 and finished_at > newest - interval '28 days'
    group by location_id
    -- Also: a location that is no longer loaded is none that has fallen silent.
    having max(newest) - min(began) >= interval '8 days'
        and max(finished_at) > max(newest) - interval '1 day'
)

select
    location_id || ' got ' || rows || ' rows within a day, against ' || round(usual)
    || ' a day in the weeks before' as complaint
from daily
where (usual >= 20 and rows < usual / 5) or rows > usual * 5 + 200
