-- The next enrollments to look at, held until the transaction ends, with what they rest on.
select
    enrollments.*,
    batches.status as batch_status,
    batches.channels as batch_channels,
    batches.summary -> 'journey' as journey,
    batches.as_of as batch_as_of
from ops.enrollments
inner join ops.batches on enrollments.batch_id = batches.batch_id
where enrollments.status = 'active' and enrollments.next_check_at <= %(now)s
order by enrollments.next_check_at, enrollments.enrollment_id
limit %(limit)s
for update of enrollments skip locked
