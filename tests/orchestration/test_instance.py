"""What a killed process leaves in Dagster's storage is cleared by the next one that opens it."""

import os
import socket
from pathlib import Path

import dagster as dg
import psutil
import pytest

from leadengine.settings import Settings
from orchestration.instance import OWNER_TAG, open_instance, owner_tag
from warehouse.database import Database


@pytest.fixture
def instance(
    settings: Settings, db: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> dg.DagsterInstance:
    monkeypatch.setattr(os, "environ", os.environ.copy())
    instance = open_instance(settings.model_copy(update={"home": tmp_path}), db)
    instance.event_log_storage.initialize_concurrency_limit_to_default("dbt")
    return instance


def reopened(settings: Settings, db: Database, instance: dg.DagsterInstance) -> dg.DagsterInstance:
    home = Path(os.environ["DAGSTER_HOME"]).parent
    instance.dispose()
    return open_instance(settings.model_copy(update={"home": home}), db)


def run_of(instance: dg.DagsterInstance, tags: dict[str, str]) -> dg.DagsterRun:
    run = dg.DagsterRun(job_name="full_refresh", tags=tags, status=dg.DagsterRunStatus.STARTED)
    return instance.add_run(run)


def gone() -> dict[str, str]:
    process = psutil.Process()
    # The same number with another start: another process had it.
    return {OWNER_TAG: f"{socket.gethostname()}:{process.pid}:{process.create_time() - 99:.0f}"}


def test_pool_of_a_killed_run_is_free_for_the_next(
    settings: Settings, db: Database, instance: dg.DagsterInstance
) -> None:
    killed = run_of(instance, gone())
    claim = instance.event_log_storage.claim_concurrency_slot("dbt", killed.run_id, "dbt_models")
    assert claim.is_claimed
    instance = reopened(settings, db, instance)
    ended = instance.get_run_by_id(killed.run_id)
    assert ended is not None
    assert ended.status == dg.DagsterRunStatus.FAILURE
    following = run_of(instance, owner_tag())
    claim = instance.event_log_storage.claim_concurrency_slot("dbt", following.run_id, "dbt_models")
    assert claim.is_claimed
    instance.dispose()


def test_pool_of_a_living_run_stays_its_own(
    settings: Settings, db: Database, instance: dg.DagsterInstance
) -> None:
    living = run_of(instance, owner_tag())
    assert instance.event_log_storage.claim_concurrency_slot(
        "dbt", living.run_id, "dbt_models"
    ).is_claimed
    instance = reopened(settings, db, instance)
    run = instance.get_run_by_id(living.run_id)
    assert run is not None
    assert run.status == dg.DagsterRunStatus.STARTED
    assert instance.event_log_storage.get_concurrency_info("dbt").active_run_ids == {living.run_id}
    instance.dispose()
