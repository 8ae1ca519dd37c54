"""Each query of docs/analysts.md, run as the analyst on a warehouse that has scores."""

import re
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from tests.conftest import clone, drop
from tests.dbt_project.analyst import log_in
from tests.dbt_project.conftest import Warehouse
from tests.dbt_project.running import run_dbt

DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "analysts.md").read_text(encoding="utf-8")
QUESTIONS: dict[str, str] = dict(
    re.findall(r"^### (\d+\. [^\n]+)\n[^#]*?^```sql\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
)

# What no model is trained for here: any scores will do, as long as they differ.
SCORES = """
insert into ml.lead_scores (
    lead_id, location_id, as_of, score, tier, rank, reasons, model_name, model_version,
    features_digest, features, scored_at
)
select
    lead_id, location_id, %(as_of)s, 1.0 / (1 + place), case when place < 20 then 'hot' else 'cold' end,
    place, '[{"sentence": "Replied last week"}]', 'lead_conversion', '1', 'd', '{}', %(as_of)s
from (
    select lead_id, location_id, row_number() over (partition by location_id order by lead_id) as place
    from marts.dim_leads
    where is_open
) as placed
"""  # noqa: E501


@pytest.fixture(scope="module")
def analyst(brokerage_warehouse: Warehouse, dbt_target: Path) -> Iterator[psycopg.Connection]:
    brokerage_warehouse.database.engine.dispose()
    database = clone(brokerage_warehouse.database)
    try:
        with database.connect() as connection:
            connection.execute(SCORES, {"as_of": brokerage_warehouse.as_of})
        run = run_dbt(database, dbt_target, "run", "--select", "lead_priorities")
        assert run.success, run.messages
        with log_in(database) as connection:
            yield connection
    finally:
        drop(database)


def test_the_page_asks_ten_questions() -> None:
    assert len(QUESTIONS) == PAGE.count("\n### ") == PAGE.count("```sql") >= 10


@pytest.mark.parametrize("question", QUESTIONS)
def test_the_query_answers(analyst: psycopg.Connection, question: str) -> None:
    query = analyst.execute(QUESTIONS[question].encode())
    assert query.description is not None
    rows = query.fetchall()
    assert rows, "no row: the query asks for what there is not"
    for place, column in enumerate(query.description):
        assert any(row[place] is not None for row in rows), f"{column.name} is null throughout"


def test_the_page_lists_every_mart(analyst: psycopg.Connection) -> None:
    marts = {
        name
        for (name,) in analyst.execute(
            "select relname from pg_class where relnamespace = 'marts'::regnamespace"
            " and relkind in ('r', 'v', 'm')"
        )
    }
    assert marts
    assert {name for name in marts if f"`marts.{name}`" not in PAGE} == set()


def test_the_comparison_names_models_that_exist(analyst: psycopg.Connection) -> None:
    page = (DOCS / "dbt-hubspot.md").read_text(encoding="utf-8")
    rows = [row.split("|")[1:-1] for row in page.splitlines() if row.startswith("| ")][1:]
    assert all(len(row) == 4 for row in rows)
    named = {
        name
        for row in rows
        for name in re.findall(r"`((?:dim|fct|int|stg|lead|kpi|agent|campaign|source|cohort)_\w+)`",
                               row[2])
    }  # fmt: skip
    found = {
        name
        for (name,) in analyst.execute(
            "select relname from pg_class inner join pg_namespace"
            " on relnamespace = pg_namespace.oid"
            " where nspname in ('staging', 'intermediate', 'marts')"
        )
    }
    assert len(named) > 15
    assert named <= found
    assert "(dbt-hubspot.md)" in PAGE
