-- What a message of a plan costs, and plans that a guard has refused.
alter table ops.batch_items add column segments integer;
alter table ops.batch_items add column cost_cents numeric;
alter table ops.batches drop constraint batches_status_check;
alter table ops.batches add constraint batches_status_check check (
    status in (
        'planned', 'refused', 'approved', 'dispatching', 'done', 'cancelled', 'expired'
    )
);
