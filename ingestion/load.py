"""Loading a provider's tables: the way in for the command line and for Dagster."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import cast
from uuid import uuid4

from ingestion import gone, transcriptions
from ingestion.extraction import Extraction, Progress
from ingestion.pipeline import Loader, LoadFailedError, only_load
from ingestion.sources import apollo, ghl, sendgrid, twilio
from ingestion.state import record_runs
from ingestion.tables import SOURCES, Source, TableSpec, tables_of
from leadengine.clock import Clock, SystemClock
from leadengine.errors import LeadEngineError, SettingsError
from leadengine.log import get_logger
from leadengine.settings import Settings
from providers.factory import Clients
from warehouse.database import Database

__all__ = [
    "SOURCES", "LoadFailedError", "LoadIncompleteError", "LoadResult", "load_all", "load_source",
]  # fmt: skip

log = get_logger(__name__)

_NAMED = 3  # failures that an error names one by one


@dataclass(frozen=True, slots=True)
class LoadResult:
    """What one load did to one table (for one location).

    Attributes:
        schema: ``raw_<source>``.
        table: the table.
        location_id: None for a provider that knows no locations.
        rows_loaded: new rows and new versions of rows.
        rows_quarantined: broken records that were not in the quarantine before.
        duration_seconds: reading and merging.
        cursor: newest provider time seen, ISO 8601 in UTC; None for tables without a cursor.
        full_load: everything was read, and not only what came after the last cursor.
    """

    schema: str
    table: str
    location_id: str | None
    rows_loaded: int
    rows_quarantined: int
    duration_seconds: float
    cursor: str | None
    full_load: bool


class LoadIncompleteError(LeadEngineError):
    """Part of a source could not be read; the rest was loaded.

    Attributes:
        results: what was loaded.
    """

    def __init__(self, message: str, *, remedy: str, results: Sequence[LoadResult]) -> None:
        super().__init__(message, remedy=remedy)
        self.results = list(results)


def load_all(
    database: Database,
    clients: Clients,
    settings: Settings,
    *,
    sources: Iterable[str] = SOURCES,
    progress: Progress | None = None,
    clock: Clock | None = None,
    full: bool = False,
) -> list[LoadResult]:
    """Loads several sources, one after the other; a source that fails does not stop the next.

    Raises:
        LoadIncompleteError: something could not be read; ``results`` holds what was loaded.
        LoadFailedError: the database refused.
    """
    results: list[LoadResult] = []
    failed: list[LoadIncompleteError] = []
    for source in sources:
        try:
            results += load_source(
                database, clients, settings, source, progress=progress, clock=clock, full=full
            )
        except LoadIncompleteError as error:
            results += error.results
            failed.append(error)
    if failed:
        raise LoadIncompleteError(
            " ".join(error.message for error in failed), remedy=failed[0].remedy, results=results
        )
    return results


def load_source(
    database: Database,
    clients: Clients,
    settings: Settings,
    source: str,
    tables: Sequence[str] | None = None,
    progress: Progress | None = None,
    *,
    clock: Clock | None = None,
    full: bool = False,
) -> list[LoadResult]:
    """Brings the raw tables of one provider up to date, and writes a row to ``ops.load_runs`` each.

    May be killed at any moment: the next load continues. Waits for another load of the same
    source to end. All tables of the source exist afterwards, with all their columns.

    Args:
        database: migrated.
        clients: the providers' clients.
        settings: state folder, locations and budgets.
        source: ``ghl``, ``twilio``, ``sendgrid`` or ``apollo``.
        tables: names without schema; None for all.
        progress: called with ``schema.table`` and a number of records, from several threads.
        clock: what rows are stamped with.
        full: read everything, whatever the cursors say; unchanged rows are still skipped.

    Returns:
        One result per table, and per location for GoHighLevel.

    Raises:
        LoadIncompleteError: a provider could not be read to the end for some table or location;
            everything else was loaded, and the next load makes up for the rest.
        LoadFailedError: the database refused; nothing counts as loaded.
        LeadEngineError: there is no such source or table.
    """
    name = _known_source(source)
    load = _Load(
        database, clients, settings, name, _wanted(name, tables), progress,
        clock or SystemClock(), full=full,
    )  # fmt: skip
    with only_load(database, name):
        return load.run()


class _Load:
    """One run of :func:`load_source`."""

    def __init__(
        self,
        database: Database,
        clients: Clients,
        settings: Settings,
        source: Source,
        wanted: Sequence[TableSpec],
        progress: Progress | None,
        clock: Clock,
        *,
        full: bool,
    ) -> None:
        self._database = database
        self._clients = clients
        self._settings = settings
        self._source: Source = source
        self._wanted = wanted
        self._tables = {spec.table for spec in wanted}
        self._clock = clock
        self._full = full
        self._started = clock.now()
        self._done: list[Extraction] = []
        self._merge_seconds: dict[str, float] = defaultdict(float)
        self._sweeps: list[dict[str, object]] = []
        self._loader = Loader(
            database, settings, source, clock=clock, load_id=uuid4().hex, progress=progress
        )

    def run(self) -> list[LoadResult]:
        self._loader.begin()
        if self._source == "apollo":
            # Whom to ask follows from whom was asked before, so the table has to be there.
            self._extract([])
        self._extract(self._extractions())
        if self._source == "ghl":
            self._follow_up()
        self._loader.end()
        results = self._results()
        errors = {done.name: done.error for done in self._done if done.error is not None}
        if errors:
            first = next(iter(errors.values()))
            names = sorted(errors)
            shown = ", ".join(names[:_NAMED]) + (
                f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
            )
            raise LoadIncompleteError(
                f"Not everything could be loaded ({shown}): {first.message}",
                remedy=first.remedy,
                results=results,
            )
        return results

    def _extract(self, extractions: Sequence[Extraction]) -> None:
        spent = self._loader.run(tables_of(self._source), extractions)
        for name, seconds in spent.items():
            self._merge_seconds[name] += seconds
        self._done += extractions

    def _extractions(self) -> list[Extraction]:
        with self._database.connect() as connection:
            locations = self._settings.locations()
            match self._source:
                case "ghl":
                    return ghl.extractions(
                        connection, self._clients.ghl, self._tables, self._clock, full=self._full
                    )
                case "twilio":
                    if (texts := self._configured("twilio")) is None:
                        return []
                    return twilio.extractions(
                        connection, texts.twilio, self._tables, locations, full=self._full
                    )
                case "sendgrid":
                    if (emails := self._configured("sendgrid")) is None:
                        return []
                    return sendgrid.extractions(
                        connection, emails.sendgrid, self._tables, locations, self._database,
                        self._clock, full=self._full,
                    )  # fmt: skip
                case "apollo":
                    client = self._clients.apollo
                    if client is None:
                        log.info("Apollo has no key: nothing is enriched")
                        return []
                    budget = self._settings.apollo_budget
                    return apollo.extractions(connection, client, budget, self._clock)

    def _configured(self, name: str) -> Clients | None:
        """The clients, if the account ``name`` is set up; loading the others goes on without it."""
        try:
            getattr(self._clients, name)
        except SettingsError as error:
            log.warning("%s is not loaded: %s", name, error.message)
            return None
        return self._clients

    def _follow_up(self) -> None:
        """What needs the contacts and messages to be in: the gone, and the transcripts."""
        later: list[Extraction] = []
        if self._tables & {"contacts", "contact_tombstones"}:
            later += self._gone()
        if "transcriptions" in self._tables:
            budget = self._settings.transcription_budget
            with self._database.connect() as connection:
                for client in self._clients.ghl.values():
                    found = transcriptions.extraction(connection, client, budget, self._clock)
                    if found is not None:
                        later.append(found)
        if later:
            self._extract(later)

    def _gone(self) -> list[Extraction]:
        read = {done.location_id: done for done in self._done if done.spec is gone.CONTACTS}
        swept = {place: done for place, done in read.items() if done.full}
        needed = []
        with self._database.connect() as connection:
            for place, client in self._clients.ghl.items():
                if place in read and read[place].error is not None:
                    continue
                if place not in swept and gone.numbers_differ(connection, client):
                    needed.append(
                        ghl.extraction(connection, client, gone.CONTACTS, self._clock, full=True)
                    )
        if needed:
            self._extract(needed)
            swept |= {done.location_id: done for done in needed}
        tombstones = []
        for swept_place, done in swept.items():
            if done.error is None and swept_place is not None:
                self._sweeps.append(gone.sweep_run(self._database, swept_place, done, self._clock))
                client = self._clients.ghl[swept_place]
                found = gone.bury(self._database, client, done.ids, self._clock)
                if found is not None:
                    tombstones.append(found)
        return tombstones

    def _results(self) -> list[LoadResult]:
        """One result per table and location, and their rows in ``ops.load_runs``."""
        finished = self._clock.now()
        parts: dict[tuple[str, str | None], list[Extraction]] = defaultdict(list)
        for done in self._done:
            parts[done.spec.table, done.location_id].append(done)
        places: list[str | None] = list(self._clients.ghl) if self._source == "ghl" else [None]
        results, runs = [], self._sweeps
        for spec in self._wanted:
            merging = self._merge_seconds.get(spec.table, 0.0) / len(places)
            for place in places:
                group = parts.get((spec.table, place), [])
                result = _result(spec, place, group, merging)
                results.append(result)
                if all(part.error is None for part in group):
                    runs.append(_run(spec, result, group, self._started, finished))
        with self._database.connect() as connection:
            record_runs(connection, runs)
        return results


def _result(
    spec: TableSpec, place: str | None, group: Sequence[Extraction], merging: float
) -> LoadResult:
    cursors = [part.cursor for part in group if part.cursor is not None]
    return LoadResult(
        schema=spec.schema,
        table=spec.table,
        location_id=place,
        rows_loaded=sum(part.rows_loaded for part in group),
        rows_quarantined=sum(part.rows_quarantined for part in group),
        duration_seconds=round(sum(part.seconds for part in group) + merging, 3),
        cursor=max(cursors).isoformat() if cursors else None,
        full_load=any(part.full for part in group),
    )


def _run(
    spec: TableSpec,
    result: LoadResult,
    group: Sequence[Extraction],
    started: datetime,
    finished: datetime,
) -> dict[str, object]:
    return {
        "source": spec.source,
        "entity": spec.table,
        "location_id": result.location_id,
        "started_at": min((part.started_at for part in group), default=started),
        "finished_at": finished,
        "rows_loaded": result.rows_loaded,
        "rows_quarantined": result.rows_quarantined,
        "cursor": result.cursor,
        "full_load": result.full_load,
    }


def _known_source(source: str) -> Source:
    if source not in SOURCES:
        raise LeadEngineError(
            f"There is no source {source!r} to load from.", remedy=f"Use {', '.join(SOURCES)}."
        )
    return cast(Source, source)


def _wanted(source: Source, tables: Sequence[str] | None) -> list[TableSpec]:
    specs = tables_of(source)
    if tables is None:
        return list(specs)
    unknown = sorted(set(tables) - {spec.table for spec in specs})
    if unknown:
        raise LeadEngineError(
            f"There is no table {unknown[0]!r} in raw_{source}.",
            remedy=f"Use {', '.join(spec.table for spec in specs)}.",
        )
    return [spec for spec in specs if spec.table in tables]
