"""From extraction to table: what survives the way, what is skipped, what is set aside."""

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from ingestion.extraction import Extraction
from ingestion.pipeline import Loader, LoadFailedError
from ingestion.state import has_rows, is_up_to_date, load_state, record_runs
from ingestion.tables import TABLES, TableSpec, table, tables_of
from leadengine.clock import FixedClock
from leadengine.settings import Settings
from providers.errors import NotSent
from warehouse.database import Database

CONTACTS = table("raw_ghl", "contacts")
MESSAGES = table("raw_ghl", "messages")
START = datetime(2025, 6, 1, tzinfo=UTC)

Page = Sequence[Any]
Run = Callable[..., Extraction]


def contact(name: str, **changes: Any) -> dict[str, Any]:
    return {
        "id": name,
        "dateAdded": "2025-01-01T00:00:00Z",
        "dateUpdated": "2025-02-01T00:00:00Z",
    } | changes


@pytest.fixture
def clock() -> FixedClock:
    return FixedClock(START)


@pytest.fixture
def run(db: Database, settings: Settings, tmp_path: Path, clock: FixedClock) -> Run:
    """Loads pages into a table as ``load_source`` does, and says how it went."""
    home = settings.model_copy(update={"leadengine_home": tmp_path})

    def run(pages: Sequence[Page], spec: TableSpec = CONTACTS, location: str = "L1") -> Extraction:
        with db.connect() as connection:
            extraction = Extraction(
                spec=spec,
                location_id=location,
                read=lambda _since: iter(pages),
                state=load_state(connection, spec, location),
                context={"locationId": location},
                fresh=not has_rows(connection, spec, location),
            )
        loader = Loader(db, home, "ghl", clock=clock, load_id="test", progress=None)
        loader.begin()
        loader.run(tables_of("ghl"), [extraction])
        loader.end()
        cursor = extraction.cursor
        with db.connect() as connection:
            record_runs(
                connection,
                [
                    {
                        "source": "ghl", "entity": spec.table, "location_id": location,
                        "started_at": clock.now(), "finished_at": clock.now(),
                        "rows_loaded": extraction.rows_loaded,
                        "rows_quarantined": extraction.rows_quarantined,
                        "cursor": cursor.isoformat() if cursor else None,
                        "full_load": extraction.full,
                    }
                ],
            )  # fmt: skip
        return extraction

    return run


def query(db: Database, sql: str) -> list[tuple[Any, ...]]:
    with db.connect() as connection:
        return connection.execute(sql).fetchall()


def test_all_tables_exist_with_all_columns_and_types_even_when_nothing_comes(
    db: Database, run: Run
) -> None:
    run([])
    for spec in tables_of("ghl"):
        found = dict(
            query(
                db,
                "select column_name, data_type from information_schema.columns "
                f"where table_schema = '{spec.schema}' and table_name = '{spec.table}'",
            )
        )
        sql_names = {
            "timestamptz": "timestamp with time zone", "text": "character varying",
        }  # fmt: skip
        expected = {name: sql_names.get(kind, kind) for name, kind in spec.sql_types.items()}
        assert {name: kind for name, kind in found.items() if name in expected} == expected
        assert set(found) - set(expected) == {"_dlt_load_id", "_dlt_id"}


def test_a_table_of_an_older_version_gets_its_missing_columns(db: Database, run: Run) -> None:
    run([[contact("C1")]])
    with db.connect() as connection:
        connection.execute("alter table raw_ghl.contacts drop column additional_phones cascade")
        connection.execute("delete from raw_ghl._dlt_version")
        assert not is_up_to_date(connection, CONTACTS)
    run([[contact("C2", additionalPhones=["+15550100"])]])
    assert query(db, "select id, additional_phones from raw_ghl.contacts order by id") == [
        ("C1", None),
        ("C2", ["+15550100"]),
    ]


NASTY = [
    'say "hi", now',
    "two\nlines\r\nthree",
    "\\N",
    "\\t\\",
    "NULL",
    "null",
    '{"json": [1]}',
    "'; drop table leads; --",
    "\U0001f600 ñ",
    " edges ",
    "tab\tbed",
    ",",
    '"',
]


def test_every_text_survives_as_column_and_within_json(db: Database, run: Run) -> None:
    rows = [
        contact(f"C{number:02}", firstName=text, tags=[text, None, 1.5, True, {text: [text]}])
        for number, text in enumerate(NASTY)
    ]
    run([rows])
    found = query(db, "select first_name, tags from raw_ghl.contacts order by id")
    assert [name for name, _ in found] == NASTY
    assert [tags for _, tags in found] == [
        [text, None, 1.5, True, {text: [text]}] for text in NASTY
    ]


def test_what_postgres_cannot_hold_is_cleaned_and_not_lost(db: Database, run: Run) -> None:
    run([[contact("C1", firstName="nul\x00", lastName="half \ud83d", city="\\.", tags=["\x00"])]])
    assert query(db, "select first_name, last_name, city, tags from raw_ghl.contacts") == [
        ("nul", "half ?", "\\. ", [""])
    ]


def test_absent_values_are_null_and_json_null_is_not_text(db: Database, run: Run) -> None:
    run([[contact("C1", email="", tags=None, dnd=None)]])
    assert query(db, "select email, tags, dnd, assigned_to from raw_ghl.contacts") == [
        (None, None, None, None)
    ]


def test_the_backfill_is_known_when_the_provider_knew_and_later_rows_when_loaded(
    db: Database, run: Run, clock: FixedClock
) -> None:
    run([[contact("old"), contact("future", dateUpdated="2027-01-01T00:00:00Z")]])
    clock.advance(timedelta(days=10))
    later = clock.now()
    run([[contact("late"), contact("old", city="Springfield")]])
    found = query(db, "select id, _known_at, _backfill from raw_ghl.contacts order by id")
    known = {name: (moment, backfill) for name, moment, backfill in found}
    assert known["future"] == (START, True)
    assert known["late"] == (later, False)
    assert known["old"] == (later, False)
    assert query(db, "select count(*) from raw_ghl.contacts where _known_at > _loaded_at") == [(0,)]


def test_unchanged_rows_are_skipped_and_keep_their_times(
    db: Database, run: Run, clock: FixedClock
) -> None:
    page = [contact("C1", tags=["a", "b"]), contact("C2")]
    assert run([page]).rows_loaded == 2
    before = query(db, "select id, _loaded_at, _known_at, _dlt_id from raw_ghl.contacts")
    clock.advance(timedelta(hours=1))
    assert run([page]).rows_loaded == 0
    assert query(db, "select id, _loaded_at, _known_at, _dlt_id from raw_ghl.contacts") == before


def test_of_several_versions_in_one_load_the_last_stays(db: Database, run: Run) -> None:
    pages = [
        [contact("C1", city="a")],
        [contact("C1", city="b"), contact("C1", city="c")],
        [contact("C2", city="a")],
        [contact("C1", city="d")],
    ]
    run(pages)
    assert query(db, "select id, city from raw_ghl.contacts order by id") == [
        ("C1", "d"),
        ("C2", "a"),
    ]


def test_the_same_id_in_two_locations_is_two_rows(db: Database, run: Run) -> None:
    run([[contact("C1", city="a")]])
    run([[contact("C1", city="b")]], location="L2")
    assert query(db, "select location_id, city from raw_ghl.contacts order by 1") == [
        ("L1", "a"),
        ("L2", "b"),
    ]


def test_broken_records_are_set_aside_once_and_the_rest_is_loaded(db: Database, run: Run) -> None:
    broken = [contact("B1", dateAdded="soon"), contact("B2", email=["x"]), "no object"]
    assert run([[contact("C1"), *broken], [contact("C2")]]).rows_quarantined == 3
    again = run([[contact("C1"), *broken, contact("B1", dateAdded="later")]])
    # The same broken record is not set aside twice; another version of it is.
    assert again.rows_quarantined == 1
    assert query(db, "select id from raw_ghl.contacts order by id") == [("C1",), ("C2",)]
    rows = query(
        db,
        "select source, entity, location_id, row_key, reason, load_id from ops.quarantine "
        "order by quarantine_id",
    )
    assert [(row[0], row[1], row[2], row[5]) for row in rows] == [
        ("ghl", "contacts", "L1", "test")
    ] * 4
    assert [row[3] for row in rows] == ["B1", "B2", None, "B1"]
    assert "dateAdded" in rows[0][4]
    assert "email" in rows[1][4]


def test_a_broken_version_leaves_the_good_one_in_place(db: Database, run: Run) -> None:
    run([[contact("C1", city="a")]])
    run([[contact("C1", city={"not": "text"})]])
    assert query(db, "select id, city from raw_ghl.contacts") == [("C1", "a")]


def test_the_cursor_ignores_the_future_and_never_goes_back(run: Run) -> None:
    first = run([[contact("C1"), contact("C2", dateUpdated="2099-01-01T00:00:00Z"), contact("C3")]])
    assert first.cursor == datetime(2025, 2, 1, tzinfo=UTC)
    second = run([[contact("C4", dateUpdated="2025-01-15T00:00:00Z")]])
    assert second.cursor == datetime(2025, 2, 1, tzinfo=UTC)
    assert second.since(START) == datetime(2025, 1, 30, tzinfo=UTC)


def test_a_provider_that_fails_half_way_moves_no_cursor_and_loses_nothing(
    db: Database, run: Run
) -> None:
    def pages() -> Iterator[Page]:
        yield [contact("C1")]
        raise NotSent("away", provider="ghl", operation="search_contacts", reason="connect")

    class Failing(list[Page]):
        def __iter__(self) -> Iterator[Page]:
            return pages()

    failed = run(Failing())
    assert failed.error is not None
    assert query(db, "select id from raw_ghl.contacts") == [("C1",)]


def test_an_emptied_table_is_a_first_load_again(db: Database, run: Run) -> None:
    run([[contact("C1")]])
    with db.connect() as connection:
        connection.execute("delete from raw_ghl.contacts")
        assert load_state(connection, CONTACTS, "L1").backfill
        assert load_state(connection, CONTACTS, "L2").backfill
    again = run([[contact("C1")]])
    assert again.rows_loaded == 1
    assert query(db, "select _backfill from raw_ghl.contacts") == [(True,)]


def test_a_dropped_schema_is_made_again(db: Database, run: Run) -> None:
    run([[contact("C1")]])
    with db.connect() as connection:
        connection.execute("drop schema raw_ghl cascade")
    assert run([[contact("C1")]]).rows_loaded == 1


def test_a_database_that_refuses_is_one_clear_error_without_anybodys_data(
    db: Database, run: Run
) -> None:
    run([])
    with db.connect() as connection:
        connection.execute(
            "alter table raw_ghl.contacts add constraint no_ann check (first_name <> 'Ann')"
        )
    with pytest.raises(LoadFailedError) as raised:
        run([[contact("C1", firstName="Ann", email="ann@example.com")]])
    assert "CheckViolation" in str(raised.value)
    assert "ann@example.com" not in str(raised.value)
    with db.connect() as connection:
        connection.execute("alter table raw_ghl.contacts drop constraint no_ann")
    assert run([[contact("C1", firstName="Ann", email="ann@example.com")]]).rows_loaded == 1
    assert query(db, "select id from raw_ghl.contacts") == [("C1",)]


def test_nothing_of_the_people_is_left_on_disk_or_in_the_staging_schema(
    db: Database, run: Run, tmp_path: Path
) -> None:
    run([[contact("C1", email="ann@example.com")]])
    assert query(db, "select count(*) from raw_ghl_staging.contacts") == [(0,)]
    for path in (tmp_path / "dlt").rglob("*"):
        if path.is_file():
            assert b"ann@example.com" not in path.read_bytes()


def test_every_table_has_a_unique_key_and_a_location(db: Database, run: Run) -> None:
    run([])
    for spec in TABLES:
        assert "location_id" in spec.column_types
        assert set(spec.primary_key) <= set(spec.column_types)
        assert all(spec.column_types[name] == "text" for name in spec.primary_key)
        assert spec.description
        assert spec.cursor is None or spec.column_types[spec.cursor] == "timestamp"
    keys = query(
        db,
        "select count(*) from pg_indexes where schemaname = 'raw_ghl' and indexname like '%\\_key' "
        "and indexdef like 'CREATE UNIQUE%(%location_id, %id)'",
    )
    assert keys == [(len(tables_of("ghl")),)]
