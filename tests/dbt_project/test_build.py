"""The project as a whole: it builds without a warning, is described, and is granted."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from ingestion.tables import TABLES
from tests.dbt_project.conftest import Warehouse
from tests.dbt_project.rendering import PROJECT
from tests.dbt_project.running import run_dbt
from warehouse.database import Database

MARTS = {
    "agent_performance", "campaign_performance", "cohort_retention", "dim_agents",
    "dim_campaigns", "dim_days", "dim_leads", "dim_leads_history", "fct_appointments",
    "fct_calls", "fct_campaign_leads", "fct_communications", "fct_consent_events",
    "fct_email_events", "fct_lead_outcomes", "fct_opportunities",
    "fct_opportunity_stage_history", "fct_speed_to_lead", "kpi_daily", "lead_features",
    "lead_priorities", "lead_recovery", "lead_training_set", "source_performance",
}  # fmt: skip


@pytest.fixture(scope="module")
def manifest(brokerage_warehouse: Warehouse) -> dict[str, Any]:
    text = (brokerage_warehouse.target / "manifest.json").read_text(encoding="utf-8")
    found: dict[str, Any] = json.loads(text)
    return found


def models(manifest: dict[str, Any]) -> list[dict[str, Any]]:
    return [node for node in manifest["nodes"].values() if node["resource_type"] == "model"]


def test_builds_and_tests_without_a_failure_or_a_warning(brokerage_warehouse: Warehouse) -> None:
    build = brokerage_warehouse.build
    assert build.messages == {}
    assert build.warnings == []
    assert build.success
    assert len(build.statuses) > 100


def test_schemas_are_named_exactly(
    brokerage_warehouse: Warehouse, manifest: dict[str, Any]
) -> None:
    with brokerage_warehouse.database.connect() as connection:
        found = connection.execute(
            "select table_schema, table_name from information_schema.tables"
            " where table_schema in ('staging', 'intermediate', 'marts')"
            r" and table_name not like '%\_masked'"
        ).fetchall()
    by_folder = {(node["fqn"][1], node["name"]) for node in models(manifest)}
    assert set(found) == by_folder
    assert {name for schema, name in found if schema == "marts"} == MARTS


def test_builds_on_tables_that_are_empty_or_missing(raw_db: Database, dbt_target: Path) -> None:
    """A provider that is not connected has no tables; its models are there all the same.

    So they are before any snapshot: plain ``dbt run`` makes none.
    """
    with raw_db.connect() as connection:
        connection.execute("drop schema raw_apollo cascade")
        connection.execute("drop table raw_twilio.recordings")
    run = run_dbt(raw_db, dbt_target, "run", snapshots=False)
    assert run.success, run.messages
    with raw_db.connect() as connection:
        assert connection.execute("select to_regclass('snapshots.snap_leads')").fetchone() == (
            None,
        )
        columns = connection.execute(
            "select column_name, data_type from information_schema.columns"
            " where table_schema = 'staging' and table_name = 'stg_apollo__people'"
        ).fetchall()
    assert ("is_matched", "boolean") in columns
    assert ("fetched_at", "timestamp with time zone") in columns


def test_every_column_is_described(
    brokerage_warehouse: Warehouse, manifest: dict[str, Any]
) -> None:
    with brokerage_warehouse.database.connect() as connection:
        rows = connection.execute(
            "select table_name, column_name from information_schema.columns"
            " where table_schema in ('staging', 'intermediate', 'marts')"
            r" and table_name not like '%\_masked'"
        ).fetchall()
    described = {
        (node["name"], column["name"])
        for node in models(manifest)
        for column in node["columns"].values()
        if column["description"]
    }
    assert set(rows) == described
    assert all(node["description"] for node in models(manifest))


def test_every_model_has_a_yaml_beside_it_and_a_tested_key(manifest: dict[str, Any]) -> None:
    keyed = {
        parent
        for node in manifest["nodes"].values()
        if node["resource_type"] == "test"
        and node.get("test_metadata", {}).get("name") in {"unique", "primary_key"}
        for parent in node["depends_on"]["nodes"]
    }
    for node in models(manifest):
        assert (PROJECT / node["original_file_path"]).with_suffix(".yml").exists(), node["name"]
        assert node["unique_id"] in keyed, node["name"]
        assert node["contract"]["enforced"] == (node["schema"] == "marts"), node["name"]


def test_sources_name_the_columns_that_the_loader_makes() -> None:
    declared: dict[str, dict[str, str]] = {}
    for path in PROJECT.glob("models/staging/*/_*__sources.yml"):
        for source in yaml.safe_load(path.read_text(encoding="utf-8"))["sources"]:
            for table in source["tables"]:
                declared[f"{source['schema']}.{table['name']}"] = {
                    column["name"]: column["data_type"] for column in table["columns"]
                }
                assert all(column["description"] for column in table["columns"])
    for spec in TABLES:
        assert declared[spec.qualified] == spec.sql_types, spec.qualified


def test_freshness_goes_by_the_loads_of_the_slowest_location(
    raw_db: Database, dbt_target: Path
) -> None:
    """Not by the rows: a table in which nothing changes is no stale table."""
    with raw_db.connect() as connection:
        for entity, location_id, hours in (
            ("contacts", "loc1", 0), ("contacts", "loc2", 1), ("messages", "loc1", 0),
            ("messages", "loc2", 5), ("users", "loc1", 30), ("users", "closed", 24 * 40),
        ):  # fmt: skip
            connection.execute(
                "insert into ops.load_runs (source, entity, location_id, started_at, finished_at,"
                " rows_loaded, rows_quarantined, full_load)"
                " select 'ghl', %s, %s, at, at, 0, 0, false"
                " from (select now() - make_interval(hours => %s) as at) as moment",
                (entity, location_id, hours),
            )
    run_dbt(raw_db, dbt_target, "source", "freshness", "--select", "source:raw_ghl")
    found = json.loads((dbt_target / "sources.json").read_text(encoding="utf-8"))["results"]
    statuses = {one["unique_id"].split(".")[-1]: one["status"] for one in found}
    assert statuses["contacts"] == "pass"
    assert statuses["messages"] == "warn"
    assert statuses["users"] == "error"
    assert statuses["appointments"] == "error", "never loaded"
    assert "contact_tombstones" not in statuses


def test_a_server_without_the_analyst_role_gets_its_models(
    raw_db: Database, dbt_target: Path
) -> None:
    run = run_dbt(raw_db, dbt_target, "run", "--select", "+dim_agents", analyst_role="nobody")
    assert run.success, run.messages


def test_priorities_are_made_apart_after_the_scores(
    brokerage_warehouse: Warehouse, manifest: dict[str, Any]
) -> None:
    tagged = {node["name"] for node in models(manifest) if "after_scores" in node["tags"]}
    assert tagged == {"dim_leads_history", "int_lead_states", "lead_priorities"}


def test_what_uses_the_marts_is_named(manifest: dict[str, Any]) -> None:
    """Scores, batches and write-back: whoever changes a mart sees what hangs on it."""
    uses = {
        one["name"]: {node.split(".")[-1] for node in one["depends_on"]["nodes"]}
        for one in manifest["exposures"].values()
    }
    assert uses["lead_scores"] >= {"lead_training_set", "lead_features"}
    assert uses["nurture_batches"] >= {"lead_priorities", "dim_leads", "fct_consent_events"}
    assert uses["crm_writeback"] >= {"lead_priorities"}


def test_models_that_clean_or_judge_have_unit_tests(manifest: dict[str, Any]) -> None:
    """Staging that decides, and every intermediate model that computes anything."""
    tested = {unit["model"] for unit in manifest["unit_tests"].values()}
    deciding = {
        node["name"]
        for node in models(manifest)
        if node["schema"] == "staging" and re.search(r"\bcase\b|touch_channel", node["raw_code"])
    }
    assert len(deciding) >= 6
    assert deciding <= tested
    intermediate = {node["name"] for node in models(manifest) if node["schema"] == "intermediate"}
    # The features at the points of int_target_spine, which has the unit test.
    plain = {"int_target_training_set"}
    assert intermediate - plain <= tested
