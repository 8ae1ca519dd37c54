"""Runs a job in this process, recorded like any other run, with its steps shown as they end."""

import contextlib
from collections.abc import Callable, Mapping
from time import monotonic
from typing import Any
from uuid import uuid4

import dagster as dg

from leadengine.errors import LeadEngineError
from leadengine.settings import Settings
from orchestration.instance import owner_tag

StepDone = Callable[[str, float], None]


class JobFailedError(LeadEngineError):
    """A job's run failed; its run is in Dagster with all its logs."""


def run_job(
    instance: dg.DagsterInstance,
    name: str,
    settings: Settings,
    *,
    on_step: StepDone,
    asset_config: Mapping[str, Mapping[str, Any]] | None = None,
) -> str:
    """Runs the job ``name`` to its end.

    Args:
        instance: where the run is recorded.
        name: one of the jobs of ``orchestration.definitions``.
        settings: names the state folder, whose ``logs`` get what dbt and others print.
        on_step: called with each step's name and its duration in seconds as it ends.
        asset_config: run config by step name, such as ``ops__batches``.

    Returns:
        The run's id.

    Raises:
        JobFailedError: a step failed; carries the first step's own words.
    """
    from orchestration.definitions import defs

    job = defs.resolve_job_def(name)
    run_id = str(uuid4())
    started: dict[str, float] = {}

    def listen(entry: dg.EventLogEntry) -> None:
        event = entry.dagster_event
        if event is None or event.step_key is None:
            return
        if event.event_type == dg.DagsterEventType.STEP_START:
            started[event.step_key] = monotonic()
        elif event.event_type in {
            dg.DagsterEventType.STEP_SUCCESS,
            dg.DagsterEventType.STEP_FAILURE,
        }:
            on_step(event.step_key, monotonic() - started.get(event.step_key, monotonic()))

    config: dict[str, Any] = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
    if asset_config:
        config["ops"] = {step: {"config": dict(value)} for step, value in asset_config.items()}
    logs = settings.home / "logs"
    logs.mkdir(parents=True, exist_ok=True)
    instance.add_event_listener(run_id, listen)
    with (
        (logs / f"{name}.log").open("a", encoding="utf-8") as log_file,
        contextlib.redirect_stdout(log_file),
    ):
        result = job.execute_in_process(
            instance=instance,
            run_id=run_id,
            run_config=config,
            tags=owner_tag(),
            raise_on_error=False,
        )
    if not result.success:
        raise JobFailedError(
            f"The job {name} failed: {_first_failure(result)}",
            remedy=f"Mend the cause and run again; it goes on where it stopped. Run {run_id[:8]} "
            f"in Dagster and {logs / f'{name}.log'} tell more.",
        )
    return run_id


def _first_failure(result: dg.ExecuteInProcessResult) -> str:
    for event in result.all_events:
        if event.is_step_failure:
            error = event.step_failure_data.error
            while error is not None and error.cause is not None:
                error = error.cause
            reason = error.message.strip() if error is not None else "no reason given"
            return f"step {event.step_key}: {reason}"
        if event.event_type == dg.DagsterEventType.RUN_FAILURE and event.message:
            return event.message
    return "no step says why"
