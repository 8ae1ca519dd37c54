"""Tables are judged against their own past: what loads bring, and how their values are spread."""

import datetime as dt
from collections.abc import Iterable
from pathlib import Path
from time import monotonic

import pytest

from expectations.run import SUITE_TABLES, SuiteResult, validate_raw
from leadengine.settings import Settings
from orchestration.defs.quality.checks import check_result
from tests.dbt_project.raw_fixture import insert
from tests.expectations.test_expectations import DAY, NOW, L, good, good_template
from warehouse.database import Database

__all__ = ["good", "good_template"]

USERS = "raw_ghl.users"


def record_loads(
    database: Database, loads: Iterable[tuple[float, int, int]], location_id: str = L
) -> None:
    """Rows of ``ops.load_runs`` for users: days ago, rows loaded, rows quarantined."""
    with database.connect() as connection, connection.cursor() as cursor:
        cursor.executemany(
            "insert into ops.load_runs (source, entity, location_id, started_at, finished_at,"
            " rows_loaded, rows_quarantined, full_load)"
            " values ('ghl', 'users', %s, %s, %s, %s, %s, true)",
            [(location_id, at, at, loaded, aside)
             for days, loaded, aside in loads for at in [NOW - days * DAY]],
        )  # fmt: skip


def judged(database: Database, table: str = USERS) -> SuiteResult:
    (result,) = validate_raw(database, [table])
    return result


def past(rows: int, days: int = 20) -> list[tuple[float, int, int]]:
    """A first load of everything, then ``rows`` a day in two loads, until a day ago."""
    daily = [(day + half, rows // 2, 0) for day in range(1, days) for half in (0.25, 0.75)]
    return [(days + 0.5, 100_000, 0), *daily]


def test_a_day_that_brings_far_less_than_usual_is_a_warning(good: Database) -> None:
    record_loads(good, [*past(100), (0.1, 3, 0)])
    result = judged(good)
    assert result.success
    assert [w for w in result.warnings if "within a day" in w] == [
        "loc1 got 3 rows within a day, against 98 a day in the weeks before"
    ]


def test_a_flood_is_a_warning_and_only_where_it_is(good: Database) -> None:
    record_loads(good, [*past(10), (0.1, 900, 0)])
    record_loads(good, [*past(10), (0.1, 10, 0)], location_id="loc2")
    assert [w for w in judged(good).warnings if "within a day" in w] == [
        "loc1 got 900 rows within a day, against 10 a day in the weeks before"
    ]


@pytest.mark.parametrize(
    "loads",
    [
        [*past(100), (0.6, 40, 0), (0.1, 30, 0)],
        [*past(4), (0.1, 0, 0)],
        [*past(100, days=5), (0.1, 0, 0)],
        [(0.1, 100_000, 0)],
        [],
    ],
    ids=["as usual", "always quiet", "too young to judge", "first load", "never loaded"],
)
def test_what_is_usual_is_not_warned_of(
    good: Database, loads: list[tuple[float, int, int]]
) -> None:
    record_loads(good, loads)
    assert not [w for w in judged(good).warnings if "within a day" in w]


def test_a_load_that_mostly_went_into_quarantine_blocks(good: Database) -> None:
    record_loads(good, [(3, 500, 0), (0.1, 20, 90)])
    result = judged(good)
    assert not result.success
    assert result.failures == ["90 of 110 new records were set aside within a day"]


@pytest.mark.parametrize("loads", [[(0.1, 5, 19)], [(0.1, 500, 90)], [(3, 20, 90), (0.1, 0, 0)]])
def test_a_few_broken_records_do_not_block(
    good: Database, loads: list[tuple[float, int, int]]
) -> None:
    record_loads(good, loads)
    assert judged(good).success


def fill_messages(database: Database, week: str, before: str) -> None:
    """200 messages of the newest week in direction ``week``, 400 of the month before."""
    with database.connect() as connection:
        connection.execute("truncate raw_ghl.messages")
        connection.execute("update raw_ghl.contacts set email = null, phone = null")
        for place in range(600):
            at = NOW - (dt.timedelta(hours=place % 100) if place < 200 else 20 * DAY)
            insert(
                connection,
                "raw_ghl.messages",
                [{
                    "location_id": L, "id": f"m{place}", "contact_id": "c", "date_added": at,
                    "direction": week if place < 200 else before, "message_type": "TYPE_SMS",
                    "status": "delivered",
                }],
                known_at=at,
            )  # fmt: skip


def test_values_that_are_spread_otherwise_than_before_are_a_warning(good: Database) -> None:
    fill_messages(good, week="inbound", before="outbound")
    result = judged(good, "raw_ghl.messages")
    assert result.success
    shifted = [w for w in result.warnings if "newest week" in w]
    assert shifted == [
        "direction: 100 percent of the newest week differs from"
        " what the sixty days before were like"
    ]
    fill_messages(good, week="inbound", before="inbound")
    assert not [w for w in judged(good, "raw_ghl.messages").warnings if "newest week" in w]


def test_means_and_repeated_values_are_warned_of(good: Database) -> None:
    with good.connect() as connection:
        connection.execute(
            "update raw_ghl.contacts set email = 'info@example.com' where email is not null"
        )
        connection.execute("update raw_ghl.opportunities set monetary_value = 0.5")
    (sentence,) = [w for w in judged(good, "raw_ghl.contacts").warnings if "different" in w]
    assert sentence.startswith("email: ")
    assert sentence.endswith(" percent of the values are different ones, expected at least 50")
    assert (
        "monetary_value: the mean is 0.50, expected 1000 to 20000000"
        in judged(good, "raw_ghl.opportunities").warnings
    )


@pytest.mark.slow
def test_data_docs_have_a_page_per_table_and_no_personal_value(
    good: Database, tmp_path: Path
) -> None:
    with good.connect() as connection:
        connection.execute("update raw_ghl.contacts set email = 'jane at example', phone = 'Jane'")
    folder = tmp_path / "data-docs"
    began = monotonic()
    results = validate_raw(good, docs=folder)
    assert monotonic() - began < 60
    pages = {result.table: result.page for result in results}
    assert set(pages) == set(SUITE_TABLES)
    assert len(set(pages.values())) == len(SUITE_TABLES)
    contacts = pages["raw_ghl.contacts"]
    assert contacts is not None
    assert "email" in contacts.read_text(encoding="utf-8")
    written = list(folder.rglob("*.html"))
    assert folder / "index.html" in written
    for page in written:
        text = page.read_text(encoding="utf-8")
        assert "jane" not in text.lower(), page
    # A later run replaces the pages, and the links of the index lead to them.
    validate_raw(good, docs=folder)
    assert len(list(folder.rglob("*.html"))) == len(written)


def test_the_check_tells_a_warning_from_a_failure(settings: Settings) -> None:
    fine, warned, failed = (
        check_result(
            SuiteResult(USERS, success=ok, failures=f, evaluated=9, warnings=w, page=page), settings
        )
        for ok, f, w, page in (
            (True, [], [], settings.data_docs / "a+b" / "users.html"), (True, [], ["odd"], None),
            (False, ["broken"], ["odd"], None),
        )
    )  # fmt: skip
    assert fine.passed
    link = "http://localhost:8080/expectations/a%2Bb/users.html"
    assert fine.metadata["data_docs"].value == link
    assert (warned.passed, warned.severity.value) == (False, "WARN")
    assert (failed.passed, failed.severity.value) == (False, "ERROR")
