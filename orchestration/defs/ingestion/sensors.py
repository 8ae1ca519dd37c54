"""Starts the hourly refresh as soon as the CRM has something new."""

import dagster as dg

from ingestion.changes import has_new_data
from orchestration.jobs import hourly_refresh
from orchestration.resources import Engine
from orchestration.switches import sensor_status


@dg.sensor(
    job=hourly_refresh,
    minimum_interval_seconds=120,
    default_status=sensor_status(),
    description="Compares the newest change in each location with what was loaded.",
)
def new_crm_data(
    context: dg.SensorEvaluationContext, engine: Engine
) -> dg.RunRequest | dg.SkipReason:
    """Asks each location for its newest change: one request a location."""
    in_progress = context.instance.get_runs_count(
        dg.RunsFilter(job_name=hourly_refresh.name, statuses=_UNFINISHED)
    )
    if in_progress:
        return dg.SkipReason("A refresh is under way.")
    changed = has_new_data(engine.clients, engine.database)
    if not changed:
        return dg.SkipReason("No location has anything new.")
    return dg.RunRequest(tags={"leadengine/changed_locations": ",".join(sorted(changed))})


_UNFINISHED = [
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
]
