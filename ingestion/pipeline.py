"""dlt: from extractions to merged tables, and back on its feet after a kill.

dlt spools what a load reads to disk, creates and widens the tables, copies into a staging schema
and merges from there on the primary key, one transaction a table. Cursors are not left to its
state (see :mod:`ingestion.state`), so its working folder may be thrown away at any time: that is
what happens when a load did not end by itself.
"""

import hashlib
import os
import shutil
import traceback
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ingestion.extraction import Extraction, Lookup, Progress
from ingestion.state import ensure_indexes, is_up_to_date
from ingestion.tables import Source, TableSpec
from leadengine.clock import Clock
from leadengine.errors import LeadEngineError
from leadengine.log import get_logger
from leadengine.settings import Settings
from warehouse.database import Database

log = get_logger(__name__)

_DLT_SETTINGS = {
    "RUNTIME__DLTHUB_TELEMETRY": "false",
    # Copies of people's data are not left lying about, on disk or in the staging schemas.
    "LOAD__DELETE_COMPLETED_JOBS": "true",
    "LOAD__TRUNCATE_STAGING_DATASET": "true",
    "EXTRACT__WORKERS": "8",
}
_LOCK_CLASS = 7_203_002  # first half of the advisory lock's key; the second is the source's


class LoadFailedError(LeadEngineError):
    """A load could not be written; nothing of it counts as loaded."""


@contextmanager
def only_load(database: Database, source: Source) -> Iterator[None]:
    """Waits for other loads of the same source into the same database to end.

    The lock belongs to a session, so it dies with its holder.
    """
    with database.connect(autocommit=True) as connection:
        key = (_LOCK_CLASS, source)
        got = connection.execute("select pg_try_advisory_lock(%s, hashtext(%s))", key).fetchone()
        if got is None or not got[0]:
            log.info("another load of %s is running; waiting for it to end", source)
            connection.execute("select pg_advisory_lock(%s, hashtext(%s))", key)
        yield


class Loader:
    """Runs extractions of one source into one database.

    Args:
        database: where the tables are.
        settings: ``home`` holds dlt's working folder.
        source: the provider.
        clock: tells the time that rows are stamped with.
        load_id: names this load in the quarantine.
        progress: told what has been read.
    """

    def __init__(
        self,
        database: Database,
        settings: Settings,
        source: Source,
        *,
        clock: Clock,
        load_id: str,
        progress: Progress | None,
    ) -> None:
        self._database = database
        self._source = source
        self._clock = clock
        self._load_id = load_id
        self._progress = progress
        # A folder per database: what dlt remembers of one must not be applied to another.
        place = f"{database.host}:{database.port}/{database.dbname}"
        digest = hashlib.sha256(place.encode()).hexdigest()[:12]
        self._folder = settings.home / "dlt" / digest
        self._running = self._folder / f"{source}.running"

    def begin(self) -> None:
        """Clears away what a load that was killed or failed has left behind."""
        self._folder.mkdir(parents=True, exist_ok=True)
        if self._running.exists():
            log.info("the last load of %s did not end; starting from the database", self._source)
            shutil.rmtree(self._folder / self._source, ignore_errors=True)
        self._running.touch()

    def end(self) -> None:
        """Marks the load as finished."""
        self._running.unlink(missing_ok=True)

    def run(
        self, specs: Sequence[TableSpec], extractions: Sequence[Extraction]
    ) -> dict[str, float]:
        """Loads the extractions, and creates those tables of ``specs`` that are missing.

        Returns:
            Seconds that the copy and merge of each table took, by table name.

        Raises:
            LoadFailedError: the database refused; nothing was loaded.
        """
        for name, value in _DLT_SETTINGS.items():
            os.environ.setdefault(name, value)
        import dlt  # takes half a second, so only where it is used
        from dlt.pipeline.exceptions import PipelineStepFailed

        with self._database.connect() as connection:
            outdated = [spec for spec in specs if not is_up_to_date(connection, spec)]
        with Lookup(self._database) as lookup:
            resources = [self._schema_resource(spec) for spec in outdated]
            numbers: Counter[str] = Counter()
            for extraction in extractions:
                number = numbers[extraction.spec.table]
                numbers[extraction.spec.table] += 1
                resources.append(self._resource(extraction, lookup, number))
            if not resources:
                return {}
            pipeline = dlt.pipeline(
                pipeline_name=self._source,
                pipelines_dir=str(self._folder),
                destination=dlt.destinations.postgres(self._database.libpq_url),
                dataset_name=f"raw_{self._source}",
            )
            try:
                info = pipeline.run(resources, loader_file_format="csv")
                info.raise_on_failed_jobs()
            except PipelineStepFailed as error:
                raise self._explained(error) from None
        if outdated:
            with self._database.connect() as connection:
                ensure_indexes(connection, outdated)
        return _seconds_by_table(info)

    def _resource(self, extraction: Extraction, lookup: Lookup, number: int) -> Any:
        import dlt

        def rows() -> Iterator[list[dict[str, Any]]]:
            yield from extraction.rows(lookup, self._clock, self._load_id, self._progress)

        resource = dlt.resource(
            rows, name=f"{extraction.spec.table}_{number}", **_hints(extraction.spec)
        )
        # Locations and entities are read side by side; the rate limiter keeps the peace.
        return resource.parallelize()

    @staticmethod
    def _schema_resource(spec: TableSpec) -> Any:
        import dlt

        def nothing() -> Iterator[Any]:
            yield dlt.mark.materialize_table_schema()

        return dlt.resource(nothing, name=f"{spec.table}_schema", **_hints(spec))

    def _explained(self, error: Any) -> LeadEngineError:
        cause: BaseException | None = error
        seen: list[str] = []
        where = ""
        while cause is not None:
            if isinstance(cause, LeadEngineError):
                return cause
            code = getattr(cause, "pgcode", None)
            seen.append(f"{type(cause).__name__}{f' {code}' if code else ''}")
            if frames := traceback.extract_tb(cause.__traceback__):
                where = f"{Path(frames[-1].filename).name}:{frames[-1].lineno}"
            cause = getattr(cause, "exception", None) or cause.__cause__ or cause.__context__
        # Type names, SQL states and the place only: a database's own message may quote the row.
        return LoadFailedError(
            f"The load of {self._source} failed at dlt's step {error.step}: "
            f"{', '.join(seen)} at {where}.",
            remedy="Run it again: it continues from the last load that ended. The database's log "
            "says what it refused.",
        )


def _hints(spec: TableSpec) -> dict[str, Any]:
    columns: dict[str, dict[str, Any]] = {
        name: {"data_type": kind, "nullable": name not in spec.primary_key}
        for name, kind in spec.column_types.items()
    }
    # Of two versions in one load the later one stays.
    columns["_loaded_at"]["dedup_sort"] = "desc"
    return {
        "table_name": spec.table,
        "primary_key": list(spec.primary_key),
        "write_disposition": {"disposition": "merge", "strategy": "delete-insert"},
        "columns": columns,
        "max_table_nesting": 0,
        "schema_contract": {"data_type": "freeze"},
    }


def _seconds_by_table(info: Any) -> dict[str, float]:
    seconds: Counter[str] = Counter()
    for packages in info.metrics.values():
        for package in packages:
            for job in package["job_metrics"].values():
                if job.finished_at is not None:
                    seconds[job.table_name] += (job.finished_at - job.started_at).total_seconds()
    return dict(seconds)
