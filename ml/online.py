"""One lead's score, now: features, model and reasons in this process, each score stored."""

import contextlib
import gc
import threading
from collections.abc import Iterator
from datetime import datetime
from time import monotonic, sleep
from types import TracebackType
from typing import Any

import psycopg
from psycopg import errors
from psycopg.pq.abc import PGresult
from psycopg.rows import dict_row
from psycopg_pool import ConnectionPool, PoolTimeout

from leadengine.clock import Clock, SystemClock
from leadengine.errors import DatabaseUnavailableError, LeadEngineError
from leadengine.log import get_logger
from leadengine.settings import Settings
from ml.cache import FeatureCache
from ml.champion import Champion, has_champion, load_scorer
from ml.journal import ScoreJournal
from ml.one_lead import Row, Steps, steps
from warehouse.database import Database

log = get_logger("ml.online")

# A promotion reaches the online path within this time.
PROMOTION_SECONDS = 30.0
_SETTLE_SECONDS = 0.25
# Scores computed at once in one process. Python runs one of them at a time anyway, and each further
# connection plans and warms up for itself.
CONNECTIONS = 2
WAIT_SECONDS = 5.0
_CACHED_LEADS = 20_000
# Each statement is a transaction (autocommit): there is nothing that two of them must agree on.
# Each is planned once per connection: planning takes longer than running it.
CONNECTION: dict[str, Any] = {
    "row_factory": dict_row,
    "application_name": "leadengine-scores",
    "autocommit": True,
    "prepare_threshold": 0,
}
# A score that is committed without waiting for the disk is seen there by the journal.
SETUP = """
set plan_cache_mode = force_generic_plan; set jit = off; set synchronous_commit = off
"""


class OnlineScorer:
    """Scores leads one at a time; safe to use from several threads.

    The champion is fetched and refreshed in the background, so that no request waits for MLflow;
    if it cannot be, the one at hand goes on and the log says so.

    Args:
        database: the warehouse.
        settings: where MLflow is.
        clock: tells the moment.
        cached_leads: how many leads' vectors are kept.
    """

    def __init__(
        self,
        database: Database,
        settings: Settings,
        *,
        clock: Clock | None = None,
        cached_leads: int = _CACHED_LEADS,
    ) -> None:
        self.cache = FeatureCache(cached_leads)
        self.journal = ScoreJournal()
        self._database = database
        self._settings = settings
        self._clock = clock or SystemClock()
        self._champion: Champion | None = None
        self._frozen: str | None = None
        self._loading = threading.Lock()
        self._stop = threading.Event()
        self._pool: ConnectionPool[psycopg.Connection[Row]] = ConnectionPool(
            database.libpq_url,
            kwargs=CONNECTION,
            min_size=0,  # the service scores on connections of its own
            max_size=CONNECTIONS,
            configure=_configure,
            timeout=WAIT_SECONDS,
            open=False,
            name="online-scores",
        )
        self._keeper = threading.Thread(target=self._keep, name="online-scores", daemon=True)

    def __enter__(self) -> "OnlineScorer":
        self._pool.open()
        self._keeper.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Ends only when every stored score is on disk, or the server is out of reach."""
        self._stop.set()
        self._keeper.join()
        self._pool.close()

    @property
    def at_hand(self) -> Champion | None:
        """The champion, unless it has yet to be fetched."""
        return self._champion

    def champion(self) -> Champion:
        """The champion at hand, or the rules score; fetched now if there is neither yet.

        Raises:
            LeadEngineError: the warehouse is not built, or MLflow cannot be used.
        """
        if self._champion is None:
            with self._loading:
                if self._champion is None:
                    self._champion = load_scorer(self._settings, self._database)
        return self._champion

    def score(self, lead_id: str, as_of: datetime | None = None) -> dict[str, Any]:
        """Scores one lead from events as they are now, and stores the score.

        The features are computed by the compiled form of the very macro that fills
        ``marts.lead_features``, at the start of the current minute, or just after the last thing
        that was learnt about the lead if that is later (``ml/sql/lead_inputs.sql``).

        Args:
            lead_id: as in ``marts.dim_leads``.
            as_of: another moment, aware; nothing later is seen.

        Returns:
            score_id, lead_id, location_id, status, as_of (ISO 8601, UTC), score, tier, reasons,
            base_log_odds, other_log_odds, features, features_digest, model_name, model_version.

        Raises:
            UnknownLeadError: no such lead.
            LeadEngineError: the warehouse is not built, or MLflow cannot be used.
        """
        champion = self.champion()
        with told(self._database):
            for attempt in (1, 2):
                with self._pool.connection() as connection:
                    try:
                        return _run(connection, self.steps(champion, lead_id, as_of))
                    except errors.FeatureNotSupported:
                        # A relation was built anew with other columns: this connection's prepared
                        # statements are of no use any more.
                        connection.close()
                        if attempt == 2:
                            raise
        raise AssertionError("unreachable")

    def steps(self, champion: Champion, lead_id: str, as_of: datetime | None = None) -> Steps:
        """What :meth:`score` does, for who runs the statements otherwise; see ``ml/one_lead``."""
        return steps(
            champion, self.cache, self.journal, lead_id, now=self._clock.now(), as_of=as_of
        )

    def _keep(self) -> None:
        """Until the end: refreshes the champion, and sees stored scores to disk."""
        guard: psycopg.Connection | None = None
        fetch_at = monotonic()
        while not (self._stop.is_set() and not self.journal.pending):
            try:
                guard = self._settle(guard)
            except psycopg.OperationalError as error:
                if guard is not None:
                    log.warning("the database is away; its last scores are kept: %s", error)
                guard = None
                if self._stop.is_set():
                    log.error("%d online scores may be lost: %s", self.journal.pending, error)
                    return
            if not self._stop.is_set() and monotonic() >= fetch_at:
                self._refresh()
                fetch_at = monotonic() + PROMOTION_SECONDS
            if not self._stop.wait(_SETTLE_SECONDS):
                continue
            sleep(_SETTLE_SECONDS / 10)
        if guard is not None:
            guard.close()

    def _settle(self, guard: psycopg.Connection | None) -> psycopg.Connection:
        """One look at what is on disk.

        A server that falls over takes this connection with it, whatever else it does: as long as
        the connection holds, nothing that was committed has been lost.
        """
        if guard is None:
            guard = psycopg.connect(self._database.libpq_url, autocommit=True, connect_timeout=5)
            lost = self.journal.write_again(guard)
            if lost:
                log.warning("the database is back; %d online scores were written again", lost)
        self.journal.settle(guard)
        return guard

    def _refresh(self) -> None:
        try:
            # A request that has no champion yet waits for this one instead of fetching its own.
            with self._loading:
                if self._champion is not None or has_champion(self._settings, self._database):
                    self._champion = load_scorer(self._settings, self._database)
            self._freeze()
        except (LeadEngineError, psycopg.Error) as error:
            log.warning("the champion could not be refreshed: %s", error)

    def _freeze(self) -> None:
        """Keeps the collector from what a new champion's loading has left for good.

        MLflow alone leaves some hundred thousand objects; looking through them, as each full
        collection would, stops every request for a few tenths of a second.
        """
        if self._champion is not None and self._champion.version != self._frozen:
            gc.collect()
            gc.freeze()
            self._frozen = self._champion.version


def score_lead(
    database: Database, settings: Settings, lead_id: str, as_of: datetime | None = None
) -> dict[str, Any]:
    """Scores one lead once; see :meth:`OnlineScorer.score`."""
    with OnlineScorer(database, settings, cached_leads=1) as scorer:
        return scorer.score(lead_id, as_of)


@contextlib.contextmanager
def told(database: Database) -> Iterator[None]:
    """Says what is the matter with the database in the project's own words."""
    try:
        yield
    except errors.UndefinedTable as error:
        raise LeadEngineError(
            f"The warehouse is not built: {error.diag.message_primary}.",
            remedy="Run `leadengine run` first.",
        ) from error
    except (PoolTimeout, errors.AdminShutdown, errors.CannotConnectNow) as error:
        raise DatabaseUnavailableError(
            f"The database {database!r} gave no connection: {error}.",
            remedy="Start it, or correct DATABASE_URL (empty: the embedded one).",
        ) from error


def _configure(connection: psycopg.Connection[Row]) -> None:
    connection.execute(SETUP, prepare=False)


def _run(connection: psycopg.Connection[Row], todo: Steps) -> Row:
    row = None
    while True:
        try:
            query = todo.send(row)
        except StopIteration as done:
            answer: Row = done.value
            return answer
        cursor = psycopg.RawCursor(connection, row_factory=dict_row)
        # In binary the server need not write out a hundred numbers, nor we read them.
        cursor.execute(query.text, query.values, binary=True)
        row = cursor.fetchone() if gives_rows(cursor.pgresult) else None


def gives_rows(result: PGresult | None) -> bool:
    """Whether a statement has rows to read.

    The cursor's description says so too, but for a hundred columns takes a tenth of a score's time.
    """
    return result is not None and result.nfields > 0
