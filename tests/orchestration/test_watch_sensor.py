"""An alarm starts training once, whatever the sensor is asked in between."""

from types import SimpleNamespace

import dagster as dg
import pytest

from orchestration import resources
from orchestration.defs.ml.sensors import retrain_when_scores_no_longer_hold as sensor
from orchestration.resources import Engine
from warehouse.database import Database


def look(db: Database, verdict: str, days_ago: int) -> None:
    with db.connect() as connection:
        connection.execute(
            "insert into ml.watch_runs (watched_at, as_of, baseline_as_of, model_name,"
            " model_version, row_count, verdict, summary, counts) select moment, moment, moment,"
            " 'lead_conversion', '3', 900, %(verdict)s, 'because', '{}'"
            " from (select now() - %(days)s * interval '1 day') as t (moment)",
            {"verdict": verdict, "days": days_ago},
        )


def ask(cursor: str | None) -> dg.SensorResult | dg.SkipReason:
    context = dg.build_sensor_context(cursor=cursor, resources={"engine": Engine()})
    answer = sensor(context)
    assert isinstance(answer, (dg.SensorResult, dg.SkipReason))
    return answer


def test_an_alarm_starts_training_once(db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resources, "_opened", SimpleNamespace(database=db))
    assert sensor.default_status is dg.DefaultSensorStatus.STOPPED
    assert isinstance(ask(None), dg.SkipReason)
    look(db, "steady", 30)
    assert isinstance(ask(None), dg.SkipReason)
    look(db, "drifted", 20)
    started = ask(None)
    assert isinstance(started, dg.SensorResult)
    assert started.run_requests is not None
    assert len(started.run_requests) == 1
    assert isinstance(ask(started.cursor), dg.SkipReason)
    # The challenger was refused, and the next looks find what the first did.
    look(db, "drifted", 19)
    assert isinstance(ask(started.cursor), dg.SkipReason)
    look(db, "miscalibrated", 12)
    again = ask(started.cursor)
    assert isinstance(again, dg.SensorResult)
    assert isinstance(ask(again.cursor), dg.SkipReason)
    look(db, "steady", 1)
    assert isinstance(ask(None), dg.SkipReason)
