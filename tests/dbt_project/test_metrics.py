"""Metrics, asked as an analyst asks them, give what plain SQL on the marts gives."""

import csv
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.dbt_project.conftest import Warehouse
from tests.dbt_project.rendering import PROJECT
from tests.dbt_project.running import run_dbt

BY_SOURCE = """
    select source, count(*), avg(minutes_to_first_touch), sum(won_value_cents),
        count(converted_at)::float8 / count(*),
        count(*) filter (where is_answered_within_5_minutes)::float8
            / nullif(count(is_answered_within_5_minutes), 0)
    from marts.fct_lead_outcomes
    group by source
"""
BY_WEEK = """
    select date_trunc('week', day)::date::text, location_id,
        sum(sms_outbound + email_outbound + call_outbound),
        sum(sms_inbound + email_inbound + call_inbound), sum(appointments_kept),
        sum(won_value_cents), sum(opt_outs)
    from marts.kpi_daily
    group by 1, 2
"""
BY_AGENT = """
    select agent_id, count(*)
    from marts.fct_communications
    where direction = 'outbound' and actor = 'agent'
    group by agent_id
"""


@pytest.fixture(scope="module")
def target(brokerage_warehouse: Warehouse, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A parsed project whose relations are those of the brokerage's database.

    The folder that other tests share names the database of whoever parsed last.
    """
    folder = tmp_path_factory.mktemp("metrics-target")
    run_dbt(brokerage_warehouse.database, folder, "parse")
    return folder


def ask(
    warehouse: Warehouse, target: Path, tmp_path: Path, *arguments: str
) -> dict[tuple[str, ...], list[float]]:
    """What ``mf query`` answers, by the words in a row; times are cut to their day.

    Its columns are the words, then the plain metrics, then the ratios.
    """
    out = tmp_path / "answer.csv"
    # mf knows no folder but ``target`` beside the project's files.
    project = tmp_path / "project"
    project.mkdir()
    for entry in PROJECT.iterdir():
        if entry.name not in {"target", "logs"}:
            (project / entry.name).symlink_to(entry)
    (project / "target").symlink_to(target)
    environment = warehouse.database.dbt_env() | {
        "LEADENGINE_PG_USER": "leadengine_analyst",
        "DBT_PROFILES_DIR": str(PROJECT),
        "DBT_LOG_PATH": str(tmp_path),
    }
    run = subprocess.run(
        [str(Path(sys.executable).parent / "mf"), "query", *arguments, "--csv", str(out)],
        cwd=project,
        env=dict(os.environ) | environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    with out.open(encoding="utf-8", newline="") as lines:
        rows = list(csv.DictReader(lines))
    return {
        tuple(value[:10] if name.startswith("metric_time") else value
              for name, value in row.items() if "__" in name):
        [float(value) if value else 0.0 for name, value in row.items() if "__" not in name]
        for row in rows
    }  # fmt: skip


def told(warehouse: Warehouse, sql: str, words: int) -> dict[tuple[str, ...], list[float]]:
    """The same from plain SQL, whose first ``words`` columns are the key."""
    with warehouse.database.connect() as connection:
        rows: list[tuple[Any, ...]] = connection.execute(sql.encode()).fetchall()
    return {
        tuple(str(word) for word in row[:words]): [float(value or 0) for value in row[words:]]
        for row in rows
    }


def same(
    answer: dict[tuple[str, ...], list[float]], expected: dict[tuple[str, ...], list[float]]
) -> None:
    assert answer.keys() == expected.keys()
    assert len(expected) > 1
    for key, values in expected.items():
        assert answer[key] == pytest.approx(values), key


def test_leads_by_source(brokerage_warehouse: Warehouse, target: Path, tmp_path: Path) -> None:
    answer = ask(
        brokerage_warehouse, target, tmp_path, "--group-by", "lead__source", "--metrics",
        "new_leads,response_minutes,lead_value_cents,conversion_rate,answered_within_5_minutes_rate",
    )  # fmt: skip
    same(answer, told(brokerage_warehouse, BY_SOURCE, 1))


def test_a_saved_query_of_each_week(
    brokerage_warehouse: Warehouse, target: Path, tmp_path: Path
) -> None:
    answer = ask(brokerage_warehouse, target, tmp_path, "--saved-query", "activity_by_week")
    same(answer, told(brokerage_warehouse, BY_WEEK, 2))


def test_touches_of_each_agent(
    brokerage_warehouse: Warehouse, target: Path, tmp_path: Path
) -> None:
    answer = ask(
        brokerage_warehouse, target, tmp_path, "--metrics", "personal_touches",
        "--group-by", "touch__agent_id", "--where", "{{ Dimension('touch__actor') }} = 'agent'",
    )  # fmt: skip
    same(answer, told(brokerage_warehouse, BY_AGENT, 1))


def test_every_mart_of_figures_agrees_with_the_others(brokerage_warehouse: Warehouse) -> None:
    """One definition: the same figure from two marts is the same figure."""
    with brokerage_warehouse.database.connect() as connection:
        rows = connection.execute(
            """
            select
                (select array[sum(leads), sum(leads_answered), sum(leads_converted),
                    sum(won_value_cents)] from marts.source_performance),
                (select array[count(*), count(minutes_to_first_touch), count(converted_at),
                    sum(won_value_cents)] from marts.fct_lead_outcomes),
                (select array[sum(new_leads), sum(leads_answered), sum(won_value_cents)]
                    from marts.kpi_daily)
            """
        ).fetchone()
    assert rows is not None
    sources, leads, days = rows
    assert sources == leads
    assert days == [leads[0], leads[1], leads[3]]
    assert all(figure > 0 for figure in leads)
