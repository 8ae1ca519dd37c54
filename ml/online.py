"""One lead's score, now: features, model and reasons in this process, each score stored.

On an event loop, which speaks to the database itself: each hand-over to a thread and back wakes
two sleeping cores, which at a quiet hour takes as long as the score. The loop never waits for the
database: a lock, a slow statement or a server that is away hold up scores and nothing else. What
does hold the loop is the model's own fraction of a millisecond.
"""

import asyncio
import contextlib
import gc
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from functools import partial
from types import TracebackType
from typing import Any

import asyncpg
import psycopg

from leadengine.clock import Clock, SystemClock
from leadengine.errors import DatabaseUnavailableError, LeadEngineError
from leadengine.log import get_logger
from leadengine.settings import Settings
from ml.cache import FeatureCache, Vector
from ml.champion import Champion, has_champion, load_scorer
from ml.journal import ScoreJournal
from ml.one_lead import (
    Row,
    UnknownLeadError,
    answer_of,
    features_query,
    look_query,
    store_query,
    stored_row,
    told_row,
    vector_of,
)
from ml.sessions import Connection, Sessions
from warehouse.database import Database
from warehouse.storable import storable_text

log = get_logger("ml.online")

# A promotion reaches the online path within this time.
PROMOTION_SECONDS = 30.0
_SETTLE_SECONDS = 1.0
_FLUSH_SECONDS = 0.1
# Scores computed at once in one process. Python runs one of them at a time anyway, and each further
# session plans and warms up for itself.
_SESSIONS = 2
_CONNECT_SECONDS = 5.0
_CACHED_LEADS = 20_000
_SESSION = {
    "application_name": "leadengine-scores",
    # The statements are planned once per connection: planning takes longer than running them.
    "plan_cache_mode": "force_generic_plan",
    "jit": "off",
    # One lead has a handful of rows, for which a hash table takes longer to set up than to use.
    "enable_hashagg": "off",
    "enable_hashjoin": "off",
    # A score that is committed without waiting for the disk is seen there by the journal.
    "synchronous_commit": "off",
}
# A score makes some ten objects that count for the collector, which by default looks through its
# youngest every 700: at one request in 65, for as long as the trees take. By these numbers it
# looks at one in 500.
_COLLECT_AFTER = (5_000, 2, 10)
_EPOCH = datetime.fromtimestamp(0, UTC)
# Stands in for a score where the statement is only to be planned.
_NO_SCORE: Row = {
    "score_id": "00000000-0000-0000-0000-000000000000", "lead_id": "", "location_id": "",
    "as_of": _EPOCH, "score": 0.0, "tier": "cold", "reasons": "[]",
    "base_log_odds": 0.0, "other_log_odds": 0.0, "model_name": "", "model_version": "",
    "features_digest": "", "vector": b"", "scored_at": _EPOCH,
}  # fmt: skip
# The server is away, or has thrown us out.
_AWAY = (
    OSError,
    asyncpg.PostgresConnectionError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.CannotConnectNowError,
)


class OnlineScorer:
    """Scores leads on the running event loop; entered and left on it.

    The champion is fetched and refreshed in the background, so that no request waits for MLflow;
    if it cannot be, the one at hand goes on and the log says so.

    Args:
        database: the warehouse.
        settings: where MLflow is.
        clock: tells the moment.
        cached_leads: how many leads' vectors are kept.
        sessions: how many leads are scored at once.
    """

    def __init__(
        self,
        database: Database,
        settings: Settings,
        *,
        clock: Clock | None = None,
        cached_leads: int = _CACHED_LEADS,
        sessions: int = _SESSIONS,
    ) -> None:
        self.cache = FeatureCache(cached_leads)
        self.journal = ScoreJournal()
        self._database = database
        self._settings = settings
        self._clock = clock or SystemClock()
        self._readers = Sessions(partial(self._session, _plan_reading), sessions)
        # One is enough: storing a score takes a fraction of the time of making it. Of their own, so
        # that each statement finds its session warm.
        self._writers = Sessions(partial(self._session, _plan_storing), 1)
        self._leave = AsyncExitStack()
        self._storing: set[asyncio.Task[None]] = set()
        self._champion: Champion | None = None
        self._frozen: str | None = None
        self._loading = threading.Lock()
        self._stop = asyncio.Event()
        self._behind: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> "OnlineScorer":
        with _told(self._database):
            async with AsyncExitStack() as stack:
                await stack.enter_async_context(self._readers)
                await stack.enter_async_context(self._writers)
                self._leave = stack.pop_all()
        self._behind = [
            asyncio.create_task(self._keep_scores()),
            asyncio.create_task(self._keep_champion()),
        ]
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Ends only when every score is stored and on disk, or the server is out of reach."""
        await self.stored()
        self._stop.set()
        await asyncio.gather(*self._behind)
        await self._leave.aclose()

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

    async def score(self, lead_id: str, as_of: datetime | None = None) -> dict[str, Any]:
        """Scores one lead from events as they are now, and stores the score.

        The features are computed by the compiled form of the very macro that fills
        ``marts.lead_features``, at the start of the current minute, or just after the last thing
        that was learnt about the lead if that is later (``ml/sql/lead_inputs.sql``).

        The score has been sent to the database when this returns, and is committed a moment later;
        :meth:`stored` waits for that. If this is cancelled while the features are computed, so is
        their statement.

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
        if storable_text(lead_id) != lead_id:
            raise _unknown(lead_id)
        # A champion that is not at hand comes from MLflow, for which the loop cannot wait.
        champion = self._champion
        if champion is None:
            champion = await asyncio.to_thread(self.champion)
        with _told(self._database):
            reader = await self._readers.take()
            now = self._clock.now()
            try:
                lead, vector = await self._vector(reader, lead_id, now, as_of)
            finally:
                self._readers.give_back(reader)
            answer = answer_of(champion, vector)
            row = stored_row(lead_id, lead["location_id"], vector.as_of, champion, answer, now)
            writer = await self._writers.take()
        task = asyncio.create_task(self._store(writer, row))
        self._storing.add(task)
        task.add_done_callback(self._storing.discard)
        # Now the statement leaves, ahead of the answer: should this process be killed once the
        # answer is out, the server has the score nevertheless.
        await asyncio.sleep(0)
        return told_row(row, lead["status"], vector, answer)

    async def stored(self) -> None:
        """Returns when the scores given so far are committed, or known not to be."""
        await asyncio.gather(*self._storing)

    async def _vector(
        self, reader: Connection, lead_id: str, now: datetime, as_of: datetime | None
    ) -> tuple[asyncpg.Record, Vector]:
        """What the look found, and the vector of just that."""
        parameters = {"lead_id": lead_id, "now": as_of or now, "as_of": as_of}
        # Where there is nothing to reuse the look would be a round trip for nothing.
        if lead_id in self.cache:
            lead = _known(lead_id, await reader.fetchrow(*look_query().bound(parameters)))
            vector = self.cache.find(lead_id, lead["as_of"], lead["inputs"])
            if vector is not None:
                return lead, vector
        lead = _known(lead_id, await reader.fetchrow(*features_query().bound(parameters)))
        vector = vector_of(dict(lead.items()))
        self.cache.keep(lead_id, vector)
        return lead, vector

    async def _store(self, writer: Connection, row: Row) -> None:
        try:
            await writer.execute(*store_query().bound(row))
            self.journal.add(row)
        except (*_AWAY, asyncpg.InterfaceError):
            # The caller has the score, so it is stored as soon as the server is back.
            self.journal.add(row, in_doubt=True)
        except asyncpg.PostgresError:
            log.exception("the online score %s was not stored", row["score_id"])
        finally:
            self._writers.give_back(writer)

    async def _session(self, plan: Callable[[Connection], Awaitable[None]]) -> Connection:
        session: Connection = await asyncpg.connect(
            **self._database.asyncpg_parameters(),
            # No statement is let go: the next score would have to plan it again.
            max_cached_statement_lifetime=0,
            max_cacheable_statement_size=0,
            timeout=_CONNECT_SECONDS,
            server_settings=_SESSION,
        )
        await plan(session)
        return session

    async def _keep_scores(self) -> None:
        """Until the end: sees stored scores to disk.

        On the loop too: a thread that wakes up for it takes the interpreter from whatever request
        is being answered, which one in fifty would notice.
        """
        guard: Connection | None = None
        while not (self._stop.is_set() and not self.journal.pending):
            try:
                guard = await self._settle(guard)
            except (*_AWAY, asyncpg.InterfaceError) as error:
                if guard is not None:
                    log.warning("the database is away; its last scores are kept: %s", error)
                    guard.terminate()
                guard = None
                if self._stop.is_set():
                    log.error("%d online scores may be lost: %s", self.journal.pending, error)
                    return
            except asyncpg.PostgresError:
                log.exception("stored scores could not be seen to disk")
                if self._stop.is_set():
                    break
            # In the end there is nothing to wait for but PostgreSQL's next flush.
            if self._stop.is_set():
                await asyncio.sleep(_FLUSH_SECONDS)
            else:
                await self._rest(_SETTLE_SECONDS)
        if guard is not None:
            await guard.close(timeout=_CONNECT_SECONDS)

    async def _settle(self, guard: Connection | None) -> Connection:
        """One look at what is on disk.

        A server that falls over takes this connection with it, whatever else it does: as long as
        the connection holds, nothing that was committed has been lost.
        """
        is_new = guard is None
        if guard is None:
            guard = await asyncpg.connect(
                **self._database.asyncpg_parameters(),
                timeout=_CONNECT_SECONDS,
                command_timeout=_CONNECT_SECONDS,
            )
        if is_new or self.journal.in_doubt:
            lost = await self.journal.write_again(guard)
            if lost:
                log.warning("the database is back; %d online scores were written again", lost)
        await self.journal.settle(guard)
        return guard

    async def _keep_champion(self) -> None:
        """Until the end: refreshes the champion, on another thread since MLflow is waited for."""
        while not self._stop.is_set():
            await asyncio.to_thread(self._refresh)
            await self._rest(PROMOTION_SECONDS)

    async def _rest(self, seconds: float) -> None:
        """Until the time is over or the end comes."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._stop.wait()

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
        """Keeps the collector from what a new champion's loading has left for good, and calmer.

        MLflow alone leaves some hundred thousand objects; looking through them, as each full
        collection would, stops every request for a few tenths of a second.
        """
        if self._champion is not None and self._champion.version != self._frozen:
            gc.collect()
            gc.freeze()
            gc.set_threshold(*_COLLECT_AFTER)
            self._frozen = self._champion.version


def score_lead(
    database: Database, settings: Settings, lead_id: str, as_of: datetime | None = None
) -> dict[str, Any]:
    """Scores one lead once, where no event loop runs; see :meth:`OnlineScorer.score`."""

    async def once() -> dict[str, Any]:
        async with OnlineScorer(database, settings, cached_leads=1, sessions=1) as scorer:
            return await scorer.score(lead_id, as_of)

    return asyncio.run(once())


@contextlib.contextmanager
def _told(database: Database) -> Iterator[None]:
    """Says what is the matter with the database in the project's own words."""
    try:
        yield
    except asyncpg.UndefinedTableError as error:
        raise LeadEngineError(
            f"The warehouse is not built: {error.message}.",
            remedy="Run `leadengine run` first.",
        ) from error
    except _AWAY as error:
        raise DatabaseUnavailableError(
            f"The database {database!r} gave no connection: {error}.",
            remedy="Start it, or correct DATABASE_URL (empty: the embedded one).",
        ) from error


# The statements are planned before anybody waits for them.


async def _plan_reading(session: Connection) -> None:
    nobody = {"lead_id": "", "now": _EPOCH, "as_of": None}
    # Before the first run there is nothing to plan: what is asked for then says so.
    with contextlib.suppress(asyncpg.UndefinedTableError, asyncpg.UndefinedColumnError):
        for query in (look_query(), features_query()):
            await session.fetchrow(*query.bound(nobody))


async def _plan_storing(session: Connection) -> None:
    transaction = session.transaction()
    await transaction.start()
    await session.execute(*store_query().bound(_NO_SCORE))
    await transaction.rollback()


def _known(lead_id: str, row: asyncpg.Record | None) -> asyncpg.Record:
    if row is None:
        raise _unknown(lead_id)
    return row


def _unknown(lead_id: str) -> UnknownLeadError:
    return UnknownLeadError(
        f"There is no lead {lead_id!r}.",
        remedy="Give a lead_id of marts.dim_leads: location and contact, joined by a colon.",
    )
