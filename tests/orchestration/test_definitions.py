"""The definitions as a whole: a changed graph shows up in review."""

import json
import os
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from ingestion.tables import TABLES

SNAPSHOT = Path(__file__).parent / "snapshots" / "definitions.json"


@pytest.fixture(scope="module")
def definitions() -> dg.Definitions:
    from orchestration.definitions import defs

    return defs


def described(definitions: dg.Definitions) -> dict[str, Any]:
    """The graph in a form that can be read in a diff."""
    graph = definitions.resolve_asset_graph()
    return {
        "assets": {
            key.to_user_string(): {
                "group": graph.get(key).group_name,
                "parents": sorted(p.to_user_string() for p in graph.get(key).parent_keys),
            }
            for key in sorted(graph.get_all_asset_keys(), key=lambda k: k.to_user_string())
        },
        "jobs": sorted(
            job.name for job in definitions.resolve_all_job_defs() if job.name != "__ASSET_JOB"
        ),
        "schedules": sorted(s.name for s in definitions.schedules or []),
        "sensors": sorted(s.name for s in definitions.sensors or []),
    }


def test_definitions_match_the_snapshot(definitions: dg.Definitions) -> None:
    found = described(definitions)
    if os.environ.get("UPDATE_SNAPSHOTS"):
        SNAPSHOT.write_text(json.dumps(found, indent=2) + "\n")
    assert found == json.loads(SNAPSHOT.read_text()), "run with UPDATE_SNAPSHOTS=1 if meant"


def test_keys_are_schema_and_table(definitions: dg.Definitions) -> None:
    for key in definitions.resolve_asset_graph().get_all_asset_keys():
        assert len(key.path) == 2, key


def test_groups_are_those_of_the_contract(definitions: dg.Definitions) -> None:
    graph = definitions.resolve_asset_graph()
    groups = {graph.get(key).group_name for key in graph.get_all_asset_keys()}
    assert groups == {
        "ingestion", "staging", "intermediate", "marts", "quality", "ml", "activation",
    }  # fmt: skip


def test_every_raw_table_is_an_asset_with_a_description(definitions: dg.Definitions) -> None:
    graph = definitions.resolve_asset_graph()
    for table in TABLES:
        key = dg.AssetKey([table.schema, table.table])
        assert graph.has(key), key
        assert graph.get(key).description, key


def test_jobs_of_the_contract(definitions: dg.Definitions) -> None:
    for name in ("full_refresh", "hourly_refresh", "train", "nurture_batch", "writeback"):
        assert definitions.resolve_job_def(name).name == name


def test_dbt_tests_are_asset_checks_and_expectations_block(definitions: dg.Definitions) -> None:
    graph = definitions.resolve_asset_graph()
    checks = graph.asset_check_keys
    assert len([key for key in checks if key.asset_key.path[0] == "marts"]) > 20
    for table in ("contacts", "messages"):
        key = dg.AssetCheckKey(dg.AssetKey(["raw_ghl", table]), "expectations")
        assert key in checks
        assert graph.get(key).blocking


def test_schedules_and_sensor_are_off_by_default(definitions: dg.Definitions) -> None:
    for schedule in definitions.schedules or []:
        assert schedule.default_status == dg.DefaultScheduleStatus.STOPPED  # type: ignore[union-attr]
    for sensor in definitions.sensors or []:
        assert sensor.default_status == dg.DefaultSensorStatus.STOPPED
