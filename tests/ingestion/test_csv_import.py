"""``leadengine import``: rows from a file, each loaded once or kept with its reason."""

import csv
import gzip
import io
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from ingestion.csv_import import MapError, import_file, read_map
from leadengine.clock import FixedClock
from leadengine.errors import LeadEngineError
from tests.shared_folder import shared
from warehouse.database import Database

NOW = datetime(2025, 6, 1, 12, tzinfo=UTC)
EXAMPLE = Path(__file__).resolve().parents[2] / "docs" / "examples" / "x-education.yaml"
HEADER = ["Id", "First", "Last", "Mail", "Tel", "Came From", "Added", "Sold", "Closed", "Beds"]
MAP = """
location_id: boston
columns:
  external_id: Id
  first_name: First
  last_name: Last
  email: Mail
  phone: Tel
  source: Came From
  created_at: Added
  outcome: Sold
  outcome_at: Closed
attributes: all
values:
  outcome: {yes: true, no: false}
  source: {Z: zillow}
timezone: America/New_York
"""


def row(number: int, **changes: str) -> list[str]:
    """A row of ``HEADER``; the person does not exist."""
    cells = {
        "Id": f"L{number}", "First": "Ana", "Last": "Lima", "Mail": f"ana{number}@example.com",
        "Tel": "(617) 555-0142", "Came From": "Z", "Added": "2025-01-15 09:30", "Sold": "yes",
        "Closed": "2025-03-01", "Beds": "3",
    } | {key.replace("_", " "): value for key, value in changes.items()}  # fmt: skip
    return [cells[name] for name in HEADER]


def table(folder: Path, rows: Sequence[Sequence[str]], name: str = "leads.csv") -> Path:
    text = io.StringIO()
    csv.writer(text).writerows([HEADER, *rows])
    path = folder / name
    content = text.getvalue().encode()
    path.write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
    return path


def mapping(folder: Path, text: str = MAP, name: str = "map.yaml") -> Path:
    path = folder / name
    path.write_text(text)
    return path


def query(database: Database, statement: str) -> list[tuple[Any, ...]]:
    with database.connect() as connection:
        return connection.execute(statement).fetchall()  # type: ignore[arg-type]


def load(database: Database, file: Path, plan: Path) -> Any:
    return import_file(database, file, plan, clock=FixedClock(NOW))


def test_a_row_arrives_as_the_map_says(db: Database, tmp_path: Path) -> None:
    report = load(db, table(tmp_path, [row(1)], "leads.csv.gz"), mapping(tmp_path))
    assert (report.rows_read, report.rows_loaded, report.rows_rejected) == (1, 1, 0)
    (found,) = query(
        db,
        "select location_id, external_id, first_name, last_name, email, phone, source, "
        "created_at, outcome, outcome_at, attributes, _loaded_at, _known_at, _backfill, "
        "row_number from raw_import.leads",
    )
    assert found == (
        "boston", "L1", "Ana", "Lima", "ana1@example.com", "(617) 555-0142", "zillow",
        datetime(2025, 1, 15, 14, 30, tzinfo=UTC), True, datetime(2025, 3, 1, 5, tzinfo=UTC),
        {"Beds": "3"}, NOW, datetime(2025, 3, 1, 5, tzinfo=UTC), True, 2,
    )  # fmt: skip
    assert query(db, "select file_name, rows_loaded, rows_rejected from ops.import_files") == [
        ("leads.csv.gz", 1, 0)
    ]


def test_bad_rows_are_kept_with_line_and_reason_and_the_rest_is_loaded(
    db: Database, tmp_path: Path
) -> None:
    rows = [
        row(1),
        row(2, Id=""),
        row(3, Added="31/12/2024"),
        row(4, Sold="maybe"),
        row(5, Closed="2024-12-31"),
        row(6, Added="2031-01-01"),
        row(7, First="A\x00B"),
        row(8)[:-2],
        row(9, Sold="", Closed=""),
    ]
    report = load(db, table(tmp_path, rows), mapping(tmp_path))
    assert (report.rows_read, report.rows_loaded, report.rows_rejected) == (9, 2, 7)
    assert report.reasons == {
        "8 fields where the header has 10": 1,
        "external_id is empty": 1,
        "created_at is not a time in ISO 8601": 1,
        "outcome is not a value of the map": 1,
        "outcome_at is before created_at": 1,
        "created_at is in the future": 1,
        "a zero byte, which text cannot hold": 1,
    }
    kept = query(
        db, "select row_key, reason, payload, location_id from ops.quarantine order by row_key"
    )
    reasons = {key: reason for key, reason, _, _ in kept}
    assert reasons["leads.csv line 5"] == "outcome 'maybe' is not a value of the map"
    assert reasons["leads.csv line 4"] == "created_at '31/12/2024' is not a time in ISO 8601"
    assert {location for *_, location in kept} == {"boston"}
    payloads = {key: payload for key, _, payload, _ in kept}
    assert payloads["leads.csv line 5"]["Beds"] == "3"
    assert payloads["leads.csv line 9"] == {"fields": row(8)[:-2]}
    assert query(db, "select external_id, outcome from raw_import.leads order by 1") == [
        ("L1", True),
        ("L9", None),
    ]


def test_the_same_file_is_loaded_once(db: Database, tmp_path: Path) -> None:
    file, plan = table(tmp_path, [row(1), row(2, Id="")]), mapping(tmp_path)
    first = load(db, file, plan)
    copy = table(tmp_path, [row(1), row(2, Id="")], "copy.csv")
    again = load(db, copy, plan)
    assert again.already_loaded
    assert not first.already_loaded
    assert (again.import_id, again.rows_loaded, again.rows_rejected) == (first.import_id, 1, 1)
    assert query(db, "select count(*) from raw_import.leads") == [(1,)]
    assert query(db, "select count(*) from ops.quarantine") == [(1,)]


def test_a_corrected_map_replaces_what_the_file_had_loaded(db: Database, tmp_path: Path) -> None:
    file = table(tmp_path, [row(1), row(2, Sold="maybe")])
    first = load(db, file, mapping(tmp_path))
    corrected = MAP.replace("{yes: true, no: false}", "{yes: true, no: false, maybe: false}")
    second = load(db, file, mapping(tmp_path, corrected))
    assert (first.rows_loaded, second.rows_loaded, second.rows_rejected) == (1, 2, 0)
    assert first.import_id == second.import_id
    assert query(db, "select external_id, outcome from raw_import.leads order by 1") == [
        ("L1", True),
        ("L2", False),
    ]
    assert query(db, "select count(*) from ops.quarantine") == [(0,)]


def test_the_same_file_for_another_location_is_another_import(db: Database, tmp_path: Path) -> None:
    file = table(tmp_path, [row(1), row(2, Id="")])
    load(db, file, mapping(tmp_path))
    load(db, file, mapping(tmp_path, MAP.replace("boston", "austin")))
    assert query(db, "select location_id from raw_import.leads order by 1") == [
        ("austin",),
        ("boston",),
    ]
    assert query(db, "select count(*) from ops.quarantine") == [(2,)]


def test_a_failure_in_the_middle_leaves_nothing(db: Database, tmp_path: Path) -> None:
    rows = [row(i) for i in range(6000)]
    file = table(tmp_path, rows)
    with file.open("a") as stream:
        stream.write('L6001,"never closed\n')
    with pytest.raises(LeadEngineError, match="a quote opened in the row that begins on line 6002"):
        load(db, file, mapping(tmp_path))
    assert query(db, "select count(*) from raw_import.leads") == [(0,)]
    assert query(db, "select count(*) from ops.import_files") == [(0,)]


def test_attributes_and_formats(db: Database, tmp_path: Path) -> None:
    plan = MAP.replace("attributes: all", "attributes: [Beds]").replace(
        "timezone:", 'formats: {created_at: "%m/%d/%Y %H:%M"}\ntimezone:'
    ).replace("  first_name: First\n", "")  # fmt: skip
    report = load(db, table(tmp_path, [row(1, Added="07/04/2024 23:15")]), mapping(tmp_path, plan))
    assert report.unmapped == ("First",)
    assert query(db, "select created_at, attributes, first_name from raw_import.leads") == [
        (datetime(2024, 7, 5, 3, 15, tzinfo=UTC), {"Beds": "3"}, None)
    ]


def test_x_education_with_the_example_map(db: Database) -> None:
    report = import_file(db, shared("data/leads-x-education/leads.csv.gz"), EXAMPLE)
    assert (report.rows_read, report.rows_loaded, report.rows_rejected) == (4620, 4620, 0)
    assert query(
        db,
        "select count(distinct external_id), count(*) filter (where outcome), "
        "count(*) filter (where attributes ? 'TotalVisits') from raw_import.leads",
    ) == [(4620, 1755, 4548)]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("columns: {external_id: Id}", "lacks location_id"),
        ("location_id: x\ncolumns: {email: Mail}", "lacks columns.external_id"),
        ("location_id: x", "columns is not a table"),
        (MAP + "colour: red", "the map has the unknown key 'colour'"),
        (MAP.replace("email:", "e_mail:"), "columns has the unknown key 'e_mail'"),
        (MAP.replace("first_name: First", "first_name:"), "columns.first_name names no column"),
        (MAP.replace("no: false", "no: perhaps"), "says neither true nor false for 'no'"),
        (MAP.replace("attributes: all", "attributes: most"), "attributes is neither all nor none"),
        (MAP.replace("America/New_York", "Mars/Olympus"), "timezone 'Mars/Olympus' is not known"),
        (MAP.replace("source: {Z", "colour: {Z"), "values has the unknown key 'colour'"),
        ("location_id: [", "is not YAML on line"),
        ("just text", "holds no keys"),
        ("", "holds no keys"),
    ],
)
def test_a_map_that_cannot_be_used_is_named(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(MapError) as raised:
        read_map(mapping(tmp_path, text))
    assert says in raised.value.message
    assert raised.value.remedy


def test_a_map_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(MapError, match="There is no map"):
        read_map(tmp_path / "absent.yaml")
    with pytest.raises(MapError, match="cannot be read"):
        read_map(tmp_path)
    (tmp_path / "latin.yaml").write_bytes("location_id: Málaga".encode("latin-1"))
    with pytest.raises(MapError, match="not UTF-8"):
        read_map(tmp_path / "latin.yaml")


def test_a_column_that_the_file_lacks_is_named(db: Database, tmp_path: Path) -> None:
    plan = mapping(tmp_path, MAP.replace("email: Mail", "email: E-Mail"))
    with pytest.raises(MapError, match="has no column 'E-Mail', which the map names") as raised:
        load(db, table(tmp_path, [row(1)]), plan)
    assert "Did you mean 'Mail'?" in raised.value.remedy


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("", "is empty"),
        (",".join(HEADER) + "\n", "no data rows"),
        (",".join(HEADER) + "\n" + ",".join(HEADER) + "\n" + ",".join(row(1)), "two header rows"),
        (b"Id,First\n1,Jos\xe9\n", "not UTF-8"),
    ],
)
def test_files_that_are_no_table(
    db: Database, tmp_path: Path, content: str | bytes, says: str
) -> None:
    path = tmp_path / "leads.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(LeadEngineError, match=says):
        load(db, path, mapping(tmp_path, "location_id: x\ncolumns: {external_id: Id}"))
    with pytest.raises(LeadEngineError, match="There is no file"):
        load(db, tmp_path / "absent.csv", mapping(tmp_path))
