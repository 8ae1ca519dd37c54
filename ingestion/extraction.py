"""Reading one table (of one location) from a provider: validate, skip what is known, stamp."""

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from time import monotonic
from typing import Any

import psycopg

from ingestion.quarantine import quarantine
from ingestion.state import Key, LoadState, stored_hashes
from ingestion.tables import TableSpec
from ingestion.validate import Rejection, validate
from ingestion.versions import Stamp, Versions
from leadengine.clock import Clock
from leadengine.log import get_logger
from providers.errors import ProviderError
from warehouse.database import Database

log = get_logger(__name__)

Read = Callable[[datetime | None], Iterator[Sequence[Any]]]
"""Gives pages of the provider's JSON, changed since the time (UTC), or all of it for None."""

Progress = Callable[[str, int], None]
"""Told ``schema.table`` and how many more records were read; called from several threads."""


class Lookup:
    """One database connection that the extractions of a load share, one at a time."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._lock = threading.Lock()
        self._connection: psycopg.Connection | None = None

    def __enter__(self) -> "Lookup":
        self._context = self._database.connect(autocommit=True)
        self._connection = self._context.__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        self._connection = None
        self._context.__exit__(*error)

    def hashes(self, spec: TableSpec, keys: Sequence[Key]) -> dict[Key, str]:
        """See :func:`ingestion.state.stored_hashes`."""
        with self._lock:
            return stored_hashes(self._open, spec, keys)

    def quarantine(
        self,
        spec: TableSpec,
        location_id: str | None,
        rejections: Sequence[Rejection],
        load_id: str,
    ) -> int:
        """See :func:`ingestion.quarantine.quarantine`; committed at once."""
        with self._lock, self._open.transaction():
            return quarantine(self._open, spec, location_id, rejections, load_id)

    @property
    def _open(self) -> psycopg.Connection:
        if self._connection is None:
            raise RuntimeError("the load that this extraction belonged to is over")
        return self._connection


@dataclass
class Extraction:
    """One table's (and location's) part in a load, and how it went.

    Attributes:
        spec: the table.
        location_id: the location it is read for; None for a provider without locations.
        read: gives the provider's pages.
        state: where to begin.
        context: fields that every record must have or gets, under the provider's names.
        full: read everything, whatever the cursor says.
        fresh: the table holds nothing (of the location): there is nothing to compare with.
        origins: see :class:`ingestion.versions.Versions`.
        keep_ids: collect the ids of all records that were read, broken ones included.
        rows_loaded: new versions that were handed to the load.
        rows_quarantined: broken records that were not known before.
        cursor: newest provider time seen, in UTC, at most the present.
        seconds: time spent on reading, in seconds.
        error: why the provider could not be read to the end.
        ids: see ``keep_ids``.
    """

    spec: TableSpec
    location_id: str | None
    read: Read
    state: LoadState
    context: dict[str, Any] = field(default_factory=dict)
    full: bool = False
    keep_ids: bool = False
    fresh: bool = False
    origins: Mapping[str, datetime] | None = None

    started_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    rows_loaded: int = 0
    rows_quarantined: int = 0
    cursor: datetime | None = None
    seconds: float = 0.0
    error: ProviderError | None = None
    ids: set[str] = field(default_factory=set)

    @property
    def name(self) -> str:
        """The table, and the location where there is one."""
        where = f" of location {self.location_id}" if self.location_id else ""
        return f"{self.spec.qualified}{where}"

    def since(self, now: datetime) -> datetime | None:
        """Where reading begins, in UTC; None reads everything."""
        state, every = self.state, self.spec.full_every
        if self.full or state.backfill or self.spec.cursor is None:
            return None
        if every is not None and (state.last_full is None or now - state.last_full >= every):
            return None
        # A table without rows has no cursor; the last time that everything was read will do.
        begin = state.cursor or state.last_full
        return None if begin is None else begin - self.spec.overlap

    def rows(
        self, lookup: Lookup, clock: Clock, load_id: str, progress: Progress | None
    ) -> Iterator[list[dict[str, Any]]]:
        """Pages of new row versions.

        A provider that fails ends this extraction and not the others: the cursor then stays where
        it is, so that what arrived before the failure is merely recognised next time.
        """
        started = monotonic()
        self.started_at = clock.now()
        self.cursor = self.state.cursor
        since = self.since(self.started_at)
        # Tables that hang on others are never read whole, but for their first load.
        self.full = since is None and (self.origins is None or self.state.backfill)
        versions = Versions(
            self.spec.record.known_from,
            self.spec.primary_key,
            backfill=self.state.backfill,
            origins=self.origins,
        )
        stamp = Stamp(clock)
        try:
            for page in self.read(since):
                rows = self._page(page, versions, lookup, stamp.next(), load_id)
                self.rows_loaded += len(rows)
                if progress is not None:
                    progress(self.spec.qualified, len(page))
                if rows:
                    self.seconds += monotonic() - started
                    yield rows
                    started = monotonic()
        except ProviderError as error:
            self.error = error
            log.warning("%s could not be read to the end: %s", self.name, error.message)
        self.seconds += monotonic() - started

    def _page(
        self,
        page: Sequence[Any],
        versions: Versions,
        lookup: Lookup,
        loaded_at: datetime,
        load_id: str,
    ) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = []
        rejected: list[Rejection] = []
        for payload in page:
            result = validate(self.spec.record, payload, self.context)
            if isinstance(result, Rejection):
                rejected.append(result)
            else:
                rows.append(result)
        if rejected:
            # Committed before the cursor can pass them by.
            self.rows_quarantined += lookup.quarantine(
                self.spec, self.location_id, rejected, load_id
            )
        if self.keep_ids:
            self.ids.update(str(row["id"]) for row in rows)
            self.ids.update(bad.row_key for bad in rejected if bad.row_key)
        self._move_cursor(rows, loaded_at)
        keys = [versions.key(row) for row in rows]
        stored = lookup.hashes(self.spec, keys) if keys and not self.fresh else {}
        return list(versions.changed(rows, stored, loaded_at))

    def _move_cursor(self, rows: Iterable[dict[str, Any]], now: datetime) -> None:
        if self.spec.cursor is None:
            return
        names = (self.spec.cursor, *self.spec.record.known_from)
        for row in rows:
            time = next((row[name] for name in names if row.get(name) is not None), None)
            # A record from the future must not carry the cursor past those of the present.
            if time is not None and time <= now and (self.cursor is None or time > self.cursor):
                self.cursor = time
