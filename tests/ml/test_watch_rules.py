"""What counts as drift, as miscalibration, and as a reason to train again."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml.drift import SCORE, Bins, Drift, compare
from ml.ripened import Calibration, wilson
from ml.ripened import compare as compare_outcomes
from ml.watch import Alarm, judge, should_retrain

TENTHS = Bins("days", tuple(np.arange(1, 10) / 10))


def uniform(rows: int, seed: int) -> np.ndarray:  # type: ignore[type-arg]
    return np.random.default_rng(seed).random(rows)


@pytest.mark.parametrize("rows", [200, 1_000, 20_000])
def test_no_drift_gives_no_alarm_at_any_size(rows: int) -> None:
    for seed in range(200):
        then, now = uniform(rows, seed), uniform(rows, 1_000 + seed)
        assert not compare(TENTHS, TENTHS.count(then), TENTHS.count(now)).drifted


def test_another_population_is_told() -> None:
    then, now = uniform(2_000, 1), uniform(2_000, 2) ** 2.5
    found = compare(TENTHS, TENTHS.count(then), TENTHS.count(now))
    assert found.drifted
    p, q = TENTHS.count(then) / 2_000, TENTHS.count(now) / 2_000
    known = np.arange(10)
    expected = np.sum((q - p)[known] * np.log(q[known] / p[known]))
    assert found.psi == pytest.approx(expected, rel=0.01)


def test_few_rows_give_no_alarm_however_they_look() -> None:
    found = compare(TENTHS, TENTHS.count(uniform(5_000, 1)), TENTHS.count(np.full(150, 0.99)))
    assert found.psi > 1
    assert not found.enough
    assert not found.drifted


def test_values_that_go_missing_are_drift() -> None:
    then, now = uniform(2_000, 1), uniform(2_000, 2)
    now[:900] = np.nan
    found = compare(TENTHS, TENTHS.count(then), TENTHS.count(now))
    assert (found.missing_then, found.missing_now) == (0, 0.45)
    assert found.drifted


def test_categories_and_missing_ones_are_counted_by_code() -> None:
    source = Bins("source", (), codes=5)
    assert source.count(np.array([0, 3, 3, 4, 2.0])).tolist() == [1, 0, 1, 2, 1]
    found = compare(source, [10, 0, 0, 490, 500], [600, 0, 0, 200, 200])
    assert found.drifted
    assert found.missing_now == 0.6


def test_bins_travel_with_the_model() -> None:
    assert Bins.from_dict(TENTHS.to_dict()) == TENTHS


def outcomes(scores: np.ndarray, seed: int) -> np.ndarray:  # type: ignore[type-arg]
    return (np.random.default_rng(seed).random(len(scores)) < scores).astype(float)


def test_scores_that_hold_raise_no_alarm() -> None:
    alarms = 0
    for seed in range(200):
        scores = uniform(1_500, seed) * 0.3
        alarms += compare_outcomes(scores, outcomes(scores, 500 + seed)).off
    assert alarms == 0


def test_scores_that_are_too_high_are_told_with_an_interval() -> None:
    scores = uniform(3_000, 1) * 0.3
    found = compare_outcomes(scores, outcomes(scores * 0.6, 2))
    assert found.off
    assert found.low < 0.6 < found.high < 1
    assert found.error == pytest.approx(0.06, abs=0.02)
    assert sum(part.rows for part in found.parts) == 3_000


def test_few_outcomes_are_not_judged() -> None:
    scores = np.full(100, 0.1)
    found = compare_outcomes(scores, np.r_[np.ones(25), np.zeros(75)])
    assert found.by_chance < 0.001
    assert not found.enough
    assert not found.off


@given(st.integers(0, 400), st.integers(1, 400))
def test_a_share_lies_in_its_interval(hits: int, rows: int) -> None:
    hits = min(hits, rows)
    low, high = wilson(hits, rows)
    assert 0 <= low <= hits / rows <= high <= 1


def drift(name: str, psi: float) -> Drift:
    return Drift(name, psi, 0.01, 0.0, 0.0, 5_000, enough=True)


def held() -> Calibration:
    scores = uniform(3_000, 1) * 0.3
    return compare_outcomes(scores, outcomes(scores, 3))


def test_the_verdict() -> None:
    steady = [drift(SCORE, 0.02), drift("a", 0.01)]
    assert judge(steady, {"a": 0.9}, None)[0] == "steady"
    assert judge(steady, {"a": 0.9}, held())[0] == "steady"
    assert judge([drift(SCORE, 0.4)], {}, held())[0] == "drifted"
    light = judge([drift(SCORE, 0.1), drift("a", 2.0)], {"a": 0.01}, None)
    assert light[0] == "steady"
    heavy = judge([drift(SCORE, 0.1), drift("a", 2.0)], {"a": 0.2}, None)
    assert heavy == (
        "drifted",
        "Another population than when the model went into use: a (2.00).",
    )
    few = Drift(SCORE, 3.0, 1.0, 0.0, 0.0, 20, enough=False)
    assert judge([few], {}, None)[0] == "too_few"


def test_an_alarm_starts_training_once() -> None:
    at = datetime(2026, 3, 1, tzinfo=UTC)
    first = Alarm(5, "3", "drifted", at)
    assert should_retrain(first, None)
    assert not should_retrain(None, first)
    assert not should_retrain(first, first)
    # The next looks find the same, as the challenger was refused.
    assert not should_retrain(Alarm(6, "3", "drifted", at + timedelta(days=1)), first)
    assert should_retrain(Alarm(12, "3", "drifted", at + timedelta(days=7)), first)
    assert should_retrain(Alarm(7, "4", "miscalibrated", at + timedelta(days=1)), first)
