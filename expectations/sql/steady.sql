/*
    How far the newest week of {batch} differs from the sixty days before in $column: half the sum of
    the differences in each value's share, from 0 (the same) to 1 (nothing in common).
*/
with aged as (
    select
        $value as value,
        _known_at > max(_known_at) over () - interval '7 days' as is_new,
        _known_at > max(_known_at) over () - interval '67 days' as is_counted
    from $table
),

counted as (
    select
        value,
        count(*) filter (where is_new) as new_rows,
        count(*) filter (where not is_new) as old_rows
    from aged
    where is_counted
    group by value
),

shares as (
    select
        sum(new_rows) as new_rows,
        sum(old_rows) as old_rows,
        0.5 * sum(abs(
            new_rows / (select greatest(sum(new_rows), 1) from counted)
            - old_rows / (select greatest(sum(old_rows), 1) from counted)
        )) as distance
    from counted
)

select
    '$column: ' || round(100 * distance) || ' percent of the newest week differs from'
    || ' what the sixty days before were like' as complaint
from shares
where new_rows >= 100 and old_rows >= 100 and distance > $limit
