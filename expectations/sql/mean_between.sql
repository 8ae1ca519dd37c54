/*
    The mean of $column in {batch}, where it is out of bounds. No value at all has no mean.
*/
select
    '$column: the mean is ' || round(avg($column)::numeric, 2)
    || ', expected $low to $high' as complaint
from $table
having avg($column) not between $low and $high
