/*
    How many of the values of $column in {batch} are different ones, where they are too few.
*/
select
    '$column: ' || round(100.0 * count(distinct $column) / count($column))
    || ' percent of the values are different ones, expected at least '
    || round(100 * $low) as complaint
from $table
having count(distinct $column) < $low * count($column)
