"""Before the warehouse is built, every step that reads it says what to run."""

import datetime as dt
from collections.abc import Callable

import pytest

from activation.consent import sync_consent
from activation.history import lead_history
from activation.marts import MartsMissingError
from activation.plan import plan_batch
from activation.types import Channel, PlanRequest
from leadengine.clock import SystemClock
from leadengine.settings import Settings
from warehouse.database import Database

NOW = dt.datetime(2026, 3, 2, 16, tzinfo=dt.UTC)


def history(database: Database, _settings: Settings) -> None:
    with database.connect() as connection:
        lead_history(connection, "loc:nobody", NOW)


def plan(database: Database, settings: Settings) -> None:
    request = PlanRequest("hottest", "hot_follow_up", 10, (Channel.SMS, Channel.EMAIL))
    plan_batch(database, settings, request, SystemClock())


def consent(database: Database, _settings: Settings) -> None:
    sync_consent(database)


@pytest.mark.parametrize("step", [consent, plan, history])
def test_a_warehouse_that_is_not_built_is_named(
    step: Callable[[Database, Settings], None], db: Database, settings: Settings
) -> None:
    with pytest.raises(MartsMissingError, match=r"relation \"marts\.\w+\" does not exist") as told:
        step(db, settings)
    assert "leadengine run" in told.value.remedy
