"""Online scores: what changes them, what does not, and that none is lost."""

import asyncio
import gc
import threading
from collections.abc import Callable, Coroutine, Iterator
from datetime import timedelta
from time import sleep
from typing import Any

import asyncpg
import numpy as np
import pandas as pd
import psycopg
import pytest
from psycopg.rows import dict_row

from leadengine.clock import FixedClock
from leadengine.settings import Settings, load_settings
from ml import champion as champions
from ml import one_lead
from ml import online as module
from ml.champion import Champion
from ml.fitting import FitOptions, fit
from ml.journal import ScoreJournal
from ml.one_lead import UnknownLeadError
from ml.online import OnlineScorer
from ml.replay import replay_scores
from tests.conftest import clone, drop
from tests.ml.online_rows import NOW, RELATIONS
from tests.ml.scoring_loop import Scores, running
from warehouse.database import Database


@pytest.fixture(scope="module")
def own_settings(tmp_path_factory: pytest.TempPathFactory, clean_environment: None) -> Settings:
    return load_settings(_env_file=None, leadengine_home=tmp_path_factory.mktemp("home"))


@pytest.fixture(scope="module")
def warehouse(template_database: Database) -> Iterator[Database]:
    database = clone(template_database)
    with database.connect() as connection:
        connection.execute(RELATIONS)
    yield database
    drop(database)


@pytest.fixture(scope="module")
def champion(warehouse: Database) -> Champion:
    """A model of the features that the one-lead query gives."""
    query = one_lead.one_lead_sql().encode()
    random = np.random.default_rng(3)
    rows: list[dict[str, Any]] = []
    with warehouse.connect() as connection:
        cursor = connection.cursor(row_factory=dict_row)
        for number in range(1, 401):
            moment = NOW - timedelta(days=float(random.uniform(0, 120)))
            found = cursor.execute(query, {"lead_id": f"loc:c{number}", "as_of": moment}).fetchone()
            rows.append(found or {})
    frame = pd.DataFrame(rows).drop(columns=["lead_id", "as_of"])
    chance = 1 / (1 + np.exp(2 - 0.8 * frame["inbound_count_30d"].to_numpy(dtype=float)))
    label = (random.random(len(frame)) < chance).astype(float)
    model = fit(frame, label, np.arange(len(frame)), FitOptions())
    return Champion(model, "lead_conversion", "1")


@pytest.fixture
def scores(
    warehouse: Database,
    own_settings: Settings,
    champion: Champion,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Scores]:
    """A scorer at ``NOW``; the registry has tests of its own."""
    monkeypatch.setattr(module, "load_scorer", lambda *_: champion)
    with running(OnlineScorer(warehouse, own_settings, clock=FixedClock(NOW))) as scores:
        yield scores


@pytest.fixture
def scorer(scores: Scores) -> OnlineScorer:
    return scores.scorer


def uncached(scorer: OnlineScorer, lead_id: str) -> dict[str, Any]:
    """What a scorer that has never seen the lead says at the same moment."""
    other = OnlineScorer(scorer._database, scorer._settings, clock=FixedClock(scorer._clock.now()))
    with running(other) as scores:
        return scores.score(lead_id)


def same(one: dict[str, Any], other: dict[str, Any]) -> bool:
    return {**one, "score_id": ""} == {**other, "score_id": ""}


def test_what_is_asked_twice_within_a_minute_is_computed_once(
    scorer: OnlineScorer, scores: Scores
) -> None:
    first = scores.score("loc:c7")
    scorer._clock.advance(timedelta(seconds=20))  # type: ignore[attr-defined]
    second = scores.score("loc:c7")
    assert same(first, second)
    assert first["score_id"] != second["score_id"]
    assert (scorer.cache.hits, scorer.cache.misses) == (1, 1)
    assert first["as_of"] == NOW.replace(second=0, microsecond=0).isoformat()
    assert same(second, uncached(scorer, "loc:c7"))


CHANGES = {
    "a new event": (
        "insert into intermediate.int_lead_timeline select 'new', lead_id, location_id, event_type,"
        " 'sms', 'inbound', 'lead', null, %(now)s - interval '2 seconds',"
        " %(now)s - interval '1 second', null, null from intermediate.int_lead_timeline"
        " where lead_id = 'loc:c9' limit 1"
    ),
    "an event that was known before and is loaded late": (
        "insert into intermediate.int_lead_timeline select 'late', lead_id, location_id,"
        " event_type, 'sms', 'inbound', 'lead', null, %(now)s - interval '3 days',"
        " %(now)s - interval '2 days', null, null from intermediate.int_lead_timeline"
        " where lead_id = 'loc:c9' limit 1"
    ),
    "a correction": (
        "update intermediate.int_lead_timeline set direction = 'inbound', actor = 'lead'"
        " where event_id = (select min(event_id) from intermediate.int_lead_timeline"
        " where lead_id = 'loc:c9' and direction = 'outbound')"
    ),
    "a deletion": (
        "delete from intermediate.int_lead_timeline where event_id = (select min(event_id)"
        " from intermediate.int_lead_timeline where lead_id = 'loc:c9' and direction = 'inbound')"
    ),
    "a merge of another lead into this one": (
        "update intermediate.int_lead_timeline set lead_id = 'loc:c9' where lead_id = 'loc:c19'"
    ),
    "another answer at intake": (
        "update intermediate.int_leads set beds = beds + 1 where lead_id = 'loc:c9'"
    ),
    "a location that moved": (
        "update staging.stg_ghl__locations set timezone = 'Asia/Tokyo' where location_id = 'loc'"
    ),
    "a busier agent": (
        "update intermediate.int_agent_days set touches_7d = touches_7d + 5"
        " where day = (%(now)s::timestamptz at time zone 'UTC')::date"
    ),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_changes_the_answer_at_once(
    scorer: OnlineScorer, scores: Scores, change: str
) -> None:
    before = scores.score("loc:c9")
    features = dict(before["features"])
    with psycopg.connect(scorer._database.libpq_url) as connection:
        moment = {"now": scorer._clock.now()}
        assert connection.execute(CHANGES[change], moment).rowcount > 0  # type: ignore[arg-type]
    after = scores.score("loc:c9")
    assert after["features"] != features
    assert scorer.cache.hits == 0
    assert same(after, uncached(scorer, "loc:c9"))


def test_time_changes_the_answer_as_it_would_without_a_cache(
    scorer: OnlineScorer, scores: Scores
) -> None:
    moved = set()
    for step in (0.0, 30.0, 45.0, 3_600.0, 86_400.0, 8 * 86_400.0, 40 * 86_400.0):
        scorer._clock.advance(timedelta(seconds=step))  # type: ignore[attr-defined]
        answer = scores.score("loc:c33")
        assert same(answer, uncached(scorer, "loc:c33"))
        moved.add((answer["as_of"], answer["features_digest"]))
    assert len(moved) == 6


def test_an_event_is_seen_from_the_moment_that_it_was_known(
    scorer: OnlineScorer, scores: Scores
) -> None:
    """An event that is in the table before its time changes the answer when its time has come."""
    now = scorer._clock.now()
    with psycopg.connect(scorer._database.libpq_url) as connection:
        connection.execute(
            "insert into intermediate.int_lead_timeline values ('soon', 'loc:c41', 'loc', 'touch',"
            " 'sms', 'inbound', 'lead', null, %(soon)s, %(soon)s, null, null)",
            {"soon": now + timedelta(seconds=5)},
        )
    before = scores.score("loc:c41")["features"]["inbound_count_total"]
    scorer._clock.advance(timedelta(seconds=5))  # type: ignore[attr-defined]
    at = scores.score("loc:c41")["features"]["inbound_count_total"]
    scorer._clock.advance(timedelta(microseconds=1))  # type: ignore[attr-defined]
    after = scores.score("loc:c41")
    assert (at, after["features"]["inbound_count_total"]) == (before, before + 1)
    assert same(after, uncached(scorer, "loc:c41"))


def test_every_answer_is_stored_and_replays_to_the_bit(
    scorer: OnlineScorer, scores: Scores, champion: Champion, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ml.replay.load_version", lambda *_: champion)
    answers = [scores.score(f"loc:c{number}") for number in (50, 51, 50)]
    with scorer._database.connect() as connection:
        stored = connection.execute(
            "select score_id::text, score from ml.online_scores where score_id = any(%s::uuid[])",
            [[answer["score_id"] for answer in answers]],
        ).fetchall()
    assert sorted(stored) == sorted((one["score_id"], one["score"]) for one in answers)
    result = replay_scores(scorer._database, scorer._settings, limit=1000)
    assert result.replayed >= 3
    assert result.differences == ()
    log_odds = np.log(answers[0]["score"] / (1 - answers[0]["score"]))
    told = sum(reason["contribution"] for reason in answers[0]["reasons"])
    summed = answers[0]["base_log_odds"] + answers[0]["other_log_odds"] + told
    assert summed == pytest.approx(log_odds, abs=1e-9)


def test_a_lead_that_is_not_there(scores: Scores) -> None:
    with pytest.raises(UnknownLeadError, match="There is no lead 'loc:nobody'"):
        scores.score("loc:nobody")


def test_features_built_anew_with_other_types_are_read_all_the_same(
    scorer: OnlineScorer, scores: Scores
) -> None:
    """Prepared statements outlive a table that dbt replaces, and must not fail with it."""
    scores.score("loc:c60")
    with psycopg.connect(scorer._database.libpq_url) as connection:
        connection.execute("alter table marts.dim_leads alter column status type varchar(40)")
    assert scores.score("loc:c60")["status"] == "open"


def test_a_score_that_the_server_did_not_take_is_written_again(scores: Scores) -> None:
    """The answer does not wait for the store; the server throws the scorer out in between."""
    database, journal = scores.scorer._database, scores.scorer.journal

    def found(score_id: str) -> int:
        with database.connect() as other:
            rows = other.execute(
                "select 1 from ml.online_scores where score_id = %s", [score_id]
            ).fetchall()
        return len(rows)

    with psycopg.connect(database.libpq_url) as connection:
        connection.execute("lock ml.online_scores in exclusive mode")
        answer = scores.score("loc:c61", wait=False)
        thrown_out = connection.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity"
            " where application_name = 'leadengine-scores' and wait_event_type = 'Lock'"
        ).fetchall()
        assert thrown_out == [(True,)]
        scores.stored()
        assert journal.in_doubt
    for _ in range(200):
        if not journal.pending:
            break
        sleep(0.05)
    assert found(answer["score_id"]) == 1
    assert scores.score("loc:c61")["score"] == answer["score"]


def row(number: int) -> dict[str, Any]:
    return {
        "score_id": f"00000000-0000-0000-0000-{number:012d}", "lead_id": "l", "location_id": "loc",
        "as_of": NOW, "score": 0.5, "tier": "hot", "reasons": "[]", "base_log_odds": 0.0,
        "other_log_odds": 0.0, "model_name": "m", "model_version": "1", "features_digest": "d",
        "vector": b"", "scored_at": NOW,
    }  # fmt: skip


def with_session(
    database: Database, use: Callable[[asyncpg.Connection], Coroutine[Any, Any, None]]
) -> None:
    """Runs something with a session of asyncpg's."""

    async def run() -> None:
        session = await asyncpg.connect(**database.asyncpg_parameters())
        try:
            await use(session)
        finally:
            await session.close()

    asyncio.run(run())


def test_what_a_server_lost_is_written_again(db: Database) -> None:
    """Rows that were committed and not yet on disk; deleting them stands for the crash."""
    journal = ScoreJournal()

    async def lose_one(session: asyncpg.Connection) -> None:
        for number in range(3):
            await session.execute(*one_lead.store_query().bound(row(number)))
            journal.add(row(number))
        await session.execute("delete from ml.online_scores where score_id::text like '%1'")
        assert await journal.write_again(session) == 1
        assert await session.fetchval("select count(*) from ml.online_scores") == 3

    with_session(db, lose_one)
    assert journal.pending == 0


def test_scores_are_let_go_once_they_are_on_disk(db: Database) -> None:
    journal = ScoreJournal()

    async def store(session: asyncpg.Connection) -> None:
        await session.execute("set synchronous_commit = off")
        await session.execute(*one_lead.store_query().bound(row(1)))
        journal.add(row(1))
        await journal.settle(session)
        assert journal.pending == 1
        await session.execute("checkpoint")
        journal.add(row(2))
        await journal.settle(session)
        assert journal.pending == 1, "the second has come since"

    with_session(db, store)


def test_a_champion_is_refreshed_behind_the_requests(
    scorer: OnlineScorer, scores: Scores, champion: Champion, monkeypatch: pytest.MonkeyPatch
) -> None:
    scores.score("loc:c70")
    newer = Champion(champion.model, champion.name, "2")
    monkeypatch.setattr(module, "load_scorer", lambda *_: newer)
    scorer._refresh()
    assert scores.score("loc:c70")["model_version"] == "2"

    def fail(*_: Any) -> Champion:
        raise champions.LeadEngineError("MLflow is away.", remedy="Wait.")

    monkeypatch.setattr(module, "load_scorer", fail)
    scorer._refresh()
    assert scores.score("loc:c70")["model_version"] == "2"


def test_who_leaves_does_not_wait_for_the_next_refresh(
    warehouse: Database, own_settings: Settings, champion: Champion, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether the last one is long over or still going on."""
    monkeypatch.setattr(module, "PROMOTION_SECONDS", 3_600.0)
    refreshing, go_on = threading.Event(), threading.Event()

    def slowly(*_: Any) -> Champion:
        refreshing.set()
        go_on.wait(30)
        return champion

    async def leave(scorer: OnlineScorer, *, early: bool) -> None:
        async with scorer:
            assert await asyncio.to_thread(refreshing.wait, 30)
            if early:
                asyncio.get_running_loop().call_later(0.2, go_on.set)
                return
            go_on.set()
            await asyncio.to_thread(scorer.champion)

    monkeypatch.setattr(module, "has_champion", lambda *_: True)
    monkeypatch.setattr(module, "load_scorer", slowly)
    for early in (False, True):
        refreshing.clear()
        go_on.clear()
        asyncio.run(asyncio.wait_for(leave(OnlineScorer(warehouse, own_settings), early=early), 20))


def test_the_collector_leaves_alone_what_a_champion_has_left(scorer: OnlineScorer) -> None:
    scorer.champion()
    thresholds = gc.get_threshold()
    try:
        scorer._freeze()
        frozen = gc.get_freeze_count()
        assert frozen > 10_000
        assert gc.get_threshold() == module._COLLECT_AFTER
        kept = [[] for _ in range(1_000)]
        scorer._freeze()
        assert gc.get_freeze_count() <= frozen, kept  # the champion is the same one
    finally:
        gc.unfreeze()
        gc.set_threshold(*thresholds)
