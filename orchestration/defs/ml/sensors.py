"""Training again when scores no longer hold."""

import json
from dataclasses import asdict
from datetime import datetime

import dagster as dg

from ml.watch import Alarm, newest_alarm, should_retrain
from orchestration.jobs import train
from orchestration.resources import Engine
from orchestration.switches import sensor_status


@dg.sensor(
    name="retrain_when_scores_no_longer_hold",
    job=train,
    minimum_interval_seconds=300,
    default_status=sensor_status(),
    description="Starts `train` once for an alarm of `ml.watch_runs`; the gate decides as ever.",
)
def retrain_when_scores_no_longer_hold(
    context: dg.SensorEvaluationContext, engine: Engine
) -> dg.SensorResult | dg.SkipReason:
    """One run an alarm: the cursor remembers the last that started one."""
    alarm = newest_alarm(engine.database)
    if alarm is None or not should_retrain(alarm, _parse(context.cursor)):
        return dg.SkipReason("No alarm, or one that training was started for.")
    return dg.SensorResult(
        run_requests=[
            dg.RunRequest(run_key=f"watch-{alarm.watch_id}", tags={"verdict": alarm.verdict})
        ],
        cursor=json.dumps(asdict(alarm), default=datetime.isoformat),
    )


def _parse(cursor: str | None) -> Alarm | None:
    if not cursor:
        return None
    held = json.loads(cursor)
    return Alarm(**{**held, "watched_at": datetime.fromisoformat(held["watched_at"])})
