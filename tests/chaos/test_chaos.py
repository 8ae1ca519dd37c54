"""Lost answers, failing servers, 429 storms, killed workers, a database that restarts."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.activation_world import World, world
from benchmarks.chaos import Storm, Weather, restart_database

_NIGHTLY = os.environ.get("LEADENGINE_NIGHTLY") == "1"
# Messages, kills, restarts of the database, storms of 429, seeds.
_SMALL = (120, 2, 1, 1, [1])
_LARGE = (10_000, 50, 10, 10, list(range(20))) if _NIGHTLY else (600, 6, 2, 2, [2])


@pytest.fixture
def stormy(tmp_path: Path) -> Iterator[World]:
    """A world of its own: its database is stopped and started, which others would not like."""
    yield from _world(tmp_path, _SMALL[0])


@pytest.fixture
def very_stormy(tmp_path: Path) -> Iterator[World]:
    """The same for the large size."""
    yield from _world(tmp_path, _LARGE[0])


def _world(home: Path, messages: int) -> Iterator[World]:
    with world(home, messages * 2 + 100) as made:
        yield made


def _weather(made: World, messages: int) -> Weather:
    plan = made.plan(messages)
    assert plan.counts["send"] == messages
    made.approve(plan)
    return Weather(
        made.database,
        made.settings,
        plan.batch_id,
        made.clock.now(),
        lambda: restart_database(made.home),
    )


@pytest.mark.slow
def test_whatever_breaks_nothing_is_sent_twice_and_nothing_is_lost(stormy: World) -> None:
    messages, kills, restarts, gusts, seeds = _SMALL
    outcome = _weather(stormy, messages).run(Storm(kills, restarts, gusts, seeds[0]))
    assert (outcome.kills, outcome.restarts, outcome.gusts) == (kills, restarts, gusts)
    assert (outcome.duplicates, outcome.lost, outcome.unsettled) == (0, 0, 0), outcome
    assert outcome.sent == outcome.accepted == messages
    # The weather was bad: without the books, answers that got lost would have been repeated.
    assert outcome.found_at_provider > 0


@pytest.mark.slow
@pytest.mark.timeout(36_000 if _NIGHTLY else 600)
@pytest.mark.parametrize("seed", _LARGE[4])
def test_a_longer_storm_changes_nothing(very_stormy: World, seed: int) -> None:
    messages, kills, restarts, gusts, _ = _LARGE
    outcome = _weather(very_stormy, messages).run(Storm(kills, restarts, gusts, seed))
    assert (outcome.duplicates, outcome.lost, outcome.unsettled) == (0, 0, 0), outcome
    assert outcome.sent == outcome.accepted == messages
