"""One lead's score, now: features, model and reasons in this process, each score stored.

Two statements: one looks at what the lead's features are made from and, unless the vector at hand
is of just that, computes them in the same snapshot; the other stores the score.
"""

import contextlib
import gc
import re
import threading
from collections.abc import Callable, Iterator
from datetime import datetime
from functools import cache
from pathlib import Path
from time import monotonic, sleep
from types import TracebackType
from typing import Any
from uuid import uuid4

import orjson
import psycopg
from psycopg import errors
from psycopg.rows import dict_row
from psycopg_pool import ConnectionPool, PoolTimeout

from leadengine.clock import Clock, SystemClock
from leadengine.errors import DatabaseUnavailableError, LeadEngineError
from leadengine.log import get_logger
from leadengine.settings import Settings
from ml.cache import Answer, FeatureCache, Vector
from ml.champion import Champion, has_champion, load_scorer
from ml.journal import ScoreJournal
from ml.reasons import explain
from ml.statements import statement
from ml.vectors import pack
from warehouse.database import Database

log = get_logger("ml.online")

# A promotion reaches the online path within this time.
PROMOTION_SECONDS = 30.0
_SETTLE_SECONDS = 0.25
# Scores computed at once in one process. Python runs one of them at a time anyway, and each further
# connection plans and warms up for itself.
CONNECTIONS = 2
_WAIT_SECONDS = 5.0
_CACHED_LEADS = 20_000
_ONE_LEAD_SQL = (
    Path(__file__).resolve().parent.parent / "dbt_project" / "rendered" / "one_lead_features.sql"
)
_Row = dict[str, Any]
# What the look gives; the rest of a row are features.
_LOOK = {"lead_id", "location_id", "status", "as_of", "inputs"}


class UnknownLeadError(LeadEngineError):
    """There is no such lead in the warehouse."""


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
        self._pool: ConnectionPool[psycopg.Connection[_Row]] = ConnectionPool(
            database.libpq_url,
            kwargs={"row_factory": dict_row, "application_name": "leadengine-scores"},
            min_size=1,
            max_size=CONNECTIONS,
            configure=_configure,
            timeout=_WAIT_SECONDS,
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
        try:
            return self._transaction(lambda found: self._score(found, champion, lead_id, as_of))
        except errors.UndefinedTable as error:
            raise LeadEngineError(
                f"The warehouse is not built: {error.diag.message_primary}.",
                remedy="Run `leadengine run` first.",
            ) from error

    def _transaction(
        self, work: Callable[[psycopg.Connection[_Row]], dict[str, Any]]
    ) -> dict[str, Any]:
        for attempt in (1, 2):
            with self._connection() as connection:
                try:
                    return work(connection)
                except errors.FeatureNotSupported:
                    # A relation was built anew with other columns: this connection's prepared
                    # statements are of no use any more.
                    connection.close()
                    if attempt == 2:
                        raise
        raise AssertionError("unreachable")

    @contextlib.contextmanager
    def _connection(self) -> Iterator[psycopg.Connection[_Row]]:
        try:
            with self._pool.connection() as connection:
                yield connection
        except (PoolTimeout, errors.AdminShutdown, errors.CannotConnectNow) as error:
            raise DatabaseUnavailableError(
                f"The database {self._database!r} gave no connection: {error}.",
                remedy="Start it, or correct DATABASE_URL (empty: the embedded one).",
            ) from error

    def _score(
        self,
        connection: psycopg.Connection[_Row],
        champion: Champion,
        lead_id: str,
        as_of: datetime | None,
    ) -> dict[str, Any]:
        now = self._clock.now()
        parameters = {"lead_id": lead_id, "now": as_of or now, "as_of": as_of}
        # Where there is nothing to reuse the look would be a round trip for nothing.
        vector, lead = None, None
        if lead_id in self.cache:
            lead = _one(connection, statement("lead_inputs.sql"), parameters)
            vector = self.cache.find(lead_id, lead["as_of"], lead["inputs"])
        if vector is None or lead is None:
            lead = _one(connection, _inputs_and_features(), parameters)
            features = {name: value for name, value in lead.items() if name not in _LOOK}
            vector = Vector(lead["as_of"], lead["inputs"], features)
            self.cache.keep(lead_id, vector)
        moment = vector.as_of
        answer = vector.answer
        if answer is None or answer.version != champion.version:
            answer = vector.answer = _answer(champion, vector)
        row = {
            "score_id": uuid4(),
            "lead_id": lead_id,
            "location_id": lead["location_id"],
            "as_of": moment,
            "score": answer.score,
            "tier": answer.tier,
            "reasons": orjson.dumps(answer.explanation.reasons).decode(),
            "base_log_odds": answer.explanation.base,
            "other_log_odds": answer.explanation.other,
            "model_name": champion.name,
            "model_version": champion.version,
            "features_digest": answer.digest,
            "vector": answer.packed,
            "scored_at": now,
        }
        connection.execute(statement("store_online_score.sql"), row)
        self.journal.add(row)
        return {
            "score_id": str(row["score_id"]),
            "lead_id": lead_id,
            "location_id": lead["location_id"],
            "status": lead["status"],
            "as_of": moment.isoformat(),
            "score": answer.score,
            "tier": answer.tier,
            "reasons": answer.explanation.reasons,
            "base_log_odds": answer.explanation.base,
            "other_log_odds": answer.explanation.other,
            "features": vector.features,
            "features_digest": answer.digest,
            "model_name": champion.name,
            "model_version": champion.version,
        }

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


def _configure(connection: psycopg.Connection[_Row]) -> None:
    # Each statement is a transaction: there is nothing that two of them must agree on.
    connection.autocommit = True
    # Each statement is planned once per connection: planning takes longer than running it.
    connection.prepare_threshold = 0
    connection.execute("set plan_cache_mode = force_generic_plan")
    connection.execute("set jit = off")
    # What this leaves open is closed by the journal.
    connection.execute("set synchronous_commit = off")


def _one(connection: psycopg.Connection[_Row], query: bytes, parameters: _Row) -> _Row:
    text, names = _numbered(query)
    cursor = psycopg.RawCursor(connection, row_factory=dict_row)
    # In binary the server need not write out a hundred numbers, nor we read them.
    cursor.execute(text, [parameters[name] for name in names], binary=True)
    row = cursor.fetchone()
    if row is None:
        raise UnknownLeadError(
            f"There is no lead {parameters['lead_id']!r}.",
            remedy="Give a lead_id of marts.dim_leads: location and contact, joined by a colon.",
        )
    return row


@cache
def _numbered(query: bytes) -> tuple[bytes, tuple[str, ...]]:
    """A statement with the server's own numbers for its parameters, and their names in order.

    Named ones psycopg looks for in the text at each call, unless it is short; in the features'
    26 KB that takes longer than reading the answer.
    """
    names: dict[str, int] = {}

    def number(match: re.Match[bytes]) -> bytes:
        if match.group() == b"%%":
            return b"%"
        return b"$%d" % names.setdefault(match.group(1).decode(), len(names) + 1)

    return re.sub(rb"%%|%\((\w+)\)s", number, query), tuple(names)


@cache
def _inputs_and_features() -> bytes:
    """The look and the features at the moment that it finds, as one statement."""
    look = statement("lead_inputs.sql").decode()
    features = _one_lead_sql().decode().replace("%(as_of)s", "(select inputs.as_of from inputs)")
    return (
        f"with inputs as ({look}) select features.*, inputs.* from inputs"  # noqa: S608
        f" cross join ({features}) as features"
    ).encode()


def _answer(champion: Champion, vector: Vector) -> Answer:
    model = champion.model
    model.schema.check_columns(vector.features, "The online feature query")
    matrix = model.schema.encode_row(vector.features)
    score = float(model.predict(matrix)[0])
    return Answer(
        version=champion.version,
        matrix=matrix,
        score=score,
        tier=model.tier(score),
        digest=model.digest(matrix[0]),
        explanation=explain(model, matrix, [vector.features])[0],
        packed=pack(matrix),
    )


@cache
def _one_lead_sql() -> bytes:
    try:
        return _ONE_LEAD_SQL.read_bytes()
    except OSError as error:
        raise LeadEngineError(
            f"{_ONE_LEAD_SQL} cannot be read: {error.strerror}.",
            remedy="Restore it from the repository.",
        ) from error
