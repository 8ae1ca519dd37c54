"""From a file to ``raw_import.leads``: chunk by chunk, in one transaction, once per file."""

import hashlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid5
from zoneinfo import ZoneInfo

import psycopg
from psycopg.types.json import Jsonb

from ingestion.csv_import.mapping import TIMES, ImportMap, read_map
from leadengine.clock import Clock, SystemClock
from leadengine.delimited import Chunk, DelimitedFile
from leadengine.log import get_logger
from leadengine.progress import progress
from warehouse.copy import copy_rows
from warehouse.database import Database

log = get_logger("ingestion.csv_import")

CHUNK_ROWS = 5_000
# Names the imports of a file: same location and bytes, same id.
_NAMESPACE = UUID("6b1d1c36-8a0b-5f0e-9a55-3f2b6f7c1e10")
_COLUMNS = (
    "import_id", "row_number", "location_id", "external_id", "first_name", "last_name", "email",
    "phone", "source", "created_at", "outcome", "outcome_at", "attributes", "_loaded_at",
    "_known_at", "_backfill",
)  # fmt: skip
_QUARANTINE = (
    "source", "entity", "location_id", "row_key", "reason", "payload", "payload_digest", "load_id",
)  # fmt: skip
_OUTCOMES = {
    "1": True, "1.0": True, "true": True, "yes": True, "y": True, "won": True,
    "0": False, "0.0": False, "false": False, "no": False, "n": False, "lost": False,
}  # fmt: skip
# Clocks differ a little; more than that is a wrong date.
_FUTURE = timedelta(days=1)


@dataclass(frozen=True)
class ImportReport:
    """What came of an import.

    Attributes:
        import_id: the same for the same bytes and location.
        file: the file's name.
        rows_read: data rows of the file.
        rows_loaded: rows in ``raw_import.leads``.
        rows_rejected: rows in ``ops.quarantine``.
        reasons: rejected rows per reason.
        already_loaded: the same file was imported before with the same map; nothing was done.
        unmapped: columns of the file that were not loaded.
    """

    import_id: str
    file: str
    rows_read: int
    rows_loaded: int
    rows_rejected: int
    reasons: dict[str, int] = field(default_factory=dict)
    already_loaded: bool = False
    unmapped: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """As JSON holds it."""
        return asdict(self)


class _RowError(Exception):
    """A row cannot be loaded.

    Attributes:
        kind: the reason without the row's value, to count by.
        detail: the reason with it.
    """

    def __init__(self, kind: str, detail: str | None = None) -> None:
        super().__init__(kind)
        self.kind = kind
        self.detail = detail or kind


def import_file(
    database: Database, file: Path, mapping_file: Path, *, clock: Clock | None = None
) -> ImportReport:
    """Loads a CRM export into ``raw_import.leads``.

    A row that cannot be used goes to ``ops.quarantine``, whole, with its line and the reason; the
    others are loaded. All or nothing is committed. The same file with the same map is not loaded
    again; with another map it replaces what it had loaded.

    ``row_number`` is the line of the file on which the row begins. ``_known_at`` is the latest of
    the row's own times, or the time of the import where it has none.

    Args:
        database: a migrated warehouse.
        file: delimited text in UTF-8, gzip or plain.
        mapping_file: see :mod:`ingestion.csv_import.mapping`.
        clock: for the time of the import.

    Raises:
        FileFormatError: the file cannot be read as a table.
        MapError: the map cannot be used, or names a column that the file lacks.
    """
    plan = read_map(mapping_file)
    source = DelimitedFile(file)
    plan.check_header(file, source.header)
    now = (clock or SystemClock()).now()
    with file.open("rb") as raw:
        digest = hashlib.file_digest(raw, "sha256").hexdigest()
    import_id = uuid5(_NAMESPACE, f"{plan.location_id}\n{digest}")
    with database.connect() as connection:
        connection.execute(
            "select pg_advisory_xact_lock(hashtextextended(%s, 0))", [str(import_id)]
        )
        before = _previous(connection, import_id, plan, file)
        if before:
            return before
        run = _Run(plan, source, import_id, now)
        with progress(f"Importing {file.name}") as advance:
            for chunk in source.chunks(CHUNK_ROWS):
                run.load(connection, chunk)
                advance(len(chunk.rows) + len(chunk.rejected))
        connection.execute(
            "insert into ops.import_files (import_id, file_name, file_digest, mapping, rows_read, "
            "rows_loaded, rows_rejected, imported_at) values (%s, %s, %s, %s, %s, %s, %s, %s)",
            (
                import_id, file.name, digest, Jsonb(plan.as_dict()),
                run.loaded + run.rejected, run.loaded, run.rejected, now,
            ),
        )  # fmt: skip
    log.info("%s: %d rows loaded, %d rejected", file.name, run.loaded, run.rejected)
    return ImportReport(
        import_id=str(import_id),
        file=file.name,
        rows_read=run.loaded + run.rejected,
        rows_loaded=run.loaded,
        rows_rejected=run.rejected,
        reasons=dict(run.reasons.most_common()),
        unmapped=run.unmapped,
    )


def _previous(
    connection: psycopg.Connection, import_id: UUID, plan: ImportMap, file: Path
) -> ImportReport | None:
    """The report of the same import, if it was done; clears one that used another map."""
    row = connection.execute(
        "select mapping, rows_read, rows_loaded, rows_rejected from ops.import_files "
        "where import_id = %s",
        [import_id],
    ).fetchone()
    if row is None:
        return None
    mapping, read, loaded, rejected = row
    if mapping == plan.as_dict():
        return ImportReport(str(import_id), file.name, read, loaded, rejected, already_loaded=True)
    connection.execute("delete from raw_import.leads where import_id = %s", [import_id])
    connection.execute("delete from ops.quarantine where load_id = %s", [str(import_id)])
    connection.execute("delete from ops.import_files where import_id = %s", [import_id])
    return None


class _Run:
    """One import under way."""

    def __init__(
        self, plan: ImportMap, source: DelimitedFile, import_id: UUID, now: datetime
    ) -> None:
        self.loaded = 0
        self.rejected = 0
        self.reasons: Counter[str] = Counter()
        self._plan = plan
        self._file = source
        self._import_id = import_id
        self._now = now
        self._zone = ZoneInfo(plan.timezone)
        self._at = {name: source.header.index(column) for name, column in plan.columns.items()}
        mapped = set(plan.columns.values())
        rest = [name for name in source.header if name not in mapped]
        kept = rest if plan.attributes is None else plan.attributes
        self._attributes = [(name, source.header.index(name)) for name in kept]
        self.unmapped = tuple(name for name in rest if name not in kept)

    def load(self, connection: psycopg.Connection, chunk: Chunk) -> None:
        """Writes a chunk's good rows and quarantines the others."""
        bad: list[tuple[int, str, Any]] = []
        for row in chunk.rejected:
            self._reject(row.reason)
            bad.append((row.line, row.reason, row.fields))
        good: list[tuple[Any, ...]] = []
        for line, cells in zip(chunk.lines, chunk.rows, strict=True):
            try:
                good.append(self._row(line, cells))
            except _RowError as error:
                self._reject(error.kind)
                payload = dict(zip(self._file.header, cells, strict=True))
                bad.append((line, error.detail, payload))
        self.loaded += copy_rows(connection, "raw_import.leads", _COLUMNS, good)
        copy_rows(connection, "ops.quarantine", _QUARANTINE, self._quarantined(bad))

    def _reject(self, kind: str) -> None:
        self.rejected += 1
        self.reasons[kind] += 1

    def _quarantined(self, bad: list[tuple[int, str, Any]]) -> Iterator[tuple[Any, ...]]:
        for line, reason, payload in bad:
            key = f"{self._file.path.name} line {line}"
            # With the import's id: the same broken file may come for two locations.
            digest = hashlib.blake2b(f"{self._import_id}\n{line}".encode(), digest_size=16)
            yield (
                "import", "leads", self._plan.location_id, key, reason,
                Jsonb(_storable(payload)), digest.hexdigest(), str(self._import_id),
            )  # fmt: skip

    def _row(self, line: int, cells: list[str]) -> tuple[Any, ...]:
        if any("\x00" in cell for cell in cells):
            raise _RowError("a zero byte, which text cannot hold")
        texts = {name: cells[i] or None for name, i in self._at.items()}
        external_id = texts["external_id"]
        if external_id is None:
            raise _RowError("external_id is empty")
        created_at, outcome_at = (self._time(name, texts.get(name)) for name in TIMES)
        if created_at and outcome_at and outcome_at < created_at:
            raise _RowError("outcome_at is before created_at")
        times = [time for time in (created_at, outcome_at) if time is not None]
        source = texts.get("source")
        return (
            self._import_id,
            line,
            self._plan.location_id,
            external_id,
            texts.get("first_name"),
            texts.get("last_name"),
            texts.get("email"),
            texts.get("phone"),
            self._plan.sources.get(source, source) if source else None,
            created_at,
            self._outcome(texts.get("outcome")),
            outcome_at,
            Jsonb({name: cells[i] for name, i in self._attributes if cells[i]}),
            self._now,
            min(max(times, default=self._now), self._now),
            True,
        )

    def _outcome(self, text: str | None) -> bool | None:
        if text is None:
            return None
        known = self._plan.outcomes
        found = known.get(text) if known else _OUTCOMES.get(text.lower())
        if found is None:
            raise _RowError(
                "outcome is not a value of the map", f"outcome {text!r} is not a value of the map"
            )
        return found

    def _time(self, name: str, text: str | None) -> datetime | None:
        if text is None:
            return None
        layout = self._plan.formats.get(name)
        try:
            time = (
                datetime.strptime(text, layout)  # noqa: DTZ007 - the zone is added below
                if layout
                else datetime.fromisoformat(text)
            )
            time = (time if time.tzinfo else time.replace(tzinfo=self._zone)).astimezone(UTC)
        except (ValueError, OverflowError) as error:
            wanted = f"of the form {layout}" if layout else "in ISO 8601"
            raise _RowError(
                f"{name} is not a time {wanted}", f"{name} {text!r} is not a time {wanted}"
            ) from error
        if time > self._now + _FUTURE:
            raise _RowError(f"{name} is in the future", f"{name} {text!r} is in the future")
        return time


def _storable(payload: Any) -> Any:
    """The row as jsonb can hold it: a zero byte becomes the sign that stands for one."""
    if isinstance(payload, dict):
        return {key: value.replace("\x00", "\u2400") for key, value in payload.items()}
    return {"fields": [value.replace("\x00", "\u2400") for value in payload]}
