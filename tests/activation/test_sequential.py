"""Boundaries and intervals: exact where that can be counted, and right under daily looks."""

import math
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import hypergeom, nchypergeom_fisher
from scipy.stats.contingency import odds_ratio

from activation import sequential
from activation.sequential import (
    Look,
    daily_looks,
    exact_interval,
    first_crossing,
    mixture_factor,
    newcombe,
    open_ended_interval,
    sample_ratio_p,
)


def ramp(final: int, days: int = 60) -> list[int]:
    """Conversions that come evenly."""
    return [final * day // days for day in range(1, days + 1)]


def test_the_crossing_probability_is_that_of_every_possible_order() -> None:
    """All ways in which 5 of 16 leads are the held-out ones, counted one by one."""
    send, holdout, days = 11, 5, [*range(16, 1, -1)]
    counts = [0] * 44 + [10, 10, 11, 11, 11, 12, 13, 13, 14, 14, 14, 14, 14, 14, 14, 14]
    assert len(days) == 15
    looks = daily_looks(send, holdout, counts, alpha=0.5)
    crossed = 0
    orders = list(combinations(range(16), holdout))
    for held in orders:
        running = [sum(place < count for place in held) for count in counts]
        crossed += first_crossing(looks, running) is not None
    assert crossed > 0
    assert looks[-1].spent == pytest.approx(crossed / len(orders))
    assert looks[-1].spent <= 0.5


@pytest.mark.parametrize(("leads", "spent"), [(1_000, 0.035), (3_000, 0.042), (10_000, 0.045)])
def test_nearly_all_of_the_level_is_spent_in_batches_of_a_fair_size(
    leads: int, spent: float
) -> None:
    looks = daily_looks(leads - leads // 10, leads // 10, ramp(leads * 8 // 100))
    assert spent < looks[-1].spent <= 0.05
    for look in looks:
        assert look.spent <= 0.05 * look.day / 60 + 1e-12


def test_nothing_is_concluded_before_two_weeks_or_ten_conversions() -> None:
    looks = daily_looks(900, 100, [50] * 13)
    assert looks == []
    assert daily_looks(900, 100, [9] * 60) == []
    assert daily_looks(900, 100, [50] * 20)[0].day == 14
    assert daily_looks(900, 100, [50] * 90)[-1].day == 60


@settings(max_examples=15, deadline=None)
@given(data=st.data())
def test_the_interval_leaves_out_zero_exactly_where_the_boundary_is_crossed(
    data: st.DataObject,
) -> None:
    holdout = data.draw(st.integers(30, 120))
    send = data.draw(st.integers(holdout, 600))
    final = data.draw(st.integers(10, (send + holdout) // 2))
    day = data.draw(st.integers(14, 60))
    looks = daily_looks(send, holdout, ramp(final)[:day])
    if not looks:
        return
    look = looks[-1]
    for held in {look.low, look.low + 1, look.high - 1, look.high, min(holdout, look.conversions)}:
        if not max(0, look.conversions - send) <= held <= min(holdout, look.conversions):
            continue
        interval = exact_interval(look, send, holdout, look.conversions - held, held)
        assert interval is not None
        low, high = interval
        assert (low > 0) == (held <= look.low)
        assert (high < 0) == (held >= look.high)
        difference = (look.conversions - held) / send - held / holdout
        assert low - 1e-9 <= difference <= high + 1e-9


def test_the_interval_is_that_of_another_program() -> None:
    look = Look(20, 41, 0, 41, 0.01, 0.02, 0.0)
    interval = exact_interval(look, 150, 50, 35, 6)
    table = odds_ratio([[6, 44], [35, 115]], kind="conditional")
    ends = []
    for level, side in ((0.01, "less"), (0.02, "greater")):
        bounds = table.confidence_interval(1 - level, alternative=side)
        odds = bounds.high if side == "less" else bounds.low
        mean = nchypergeom_fisher(200, 50, 41, odds).mean()
        ends.append((41 - mean) / 150 - mean / 50)
    assert interval == pytest.approx(tuple(ends), abs=1e-6)


def test_the_look_agrees_with_fishers_test() -> None:
    """Without earlier looks the boundary is that of the one-sided exact test."""
    [look] = daily_looks(900, 100, [0] * 59 + [80])
    draw = hypergeom(1000, 100, 80)
    assert draw.cdf(look.low) <= 0.025 < draw.cdf(look.low + 1)
    assert draw.sf(look.high - 1) <= 0.025 < draw.sf(look.high - 2)


def test_newcombes_interval() -> None:
    # Newcombe (1998), table II, example (a): 56/70 and 48/80, method 10.
    low, high = newcombe(70, 80, 56, 48, 1.959964)
    assert (round(low, 4), round(high, 4)) == (0.0524, 0.3339)


def test_the_open_ended_interval_is_wider_and_empty_arms_say_nothing() -> None:
    assert mixture_factor(0) == math.inf
    assert open_ended_interval(100, 10, 0, 0) == (-1.0, 1.0)
    for conversions in (10, 100, 1_000, 10_000):
        assert 3.0 < mixture_factor(conversions) < 3.7
    assert mixture_factor(100) == min(mixture_factor(count) for count in (10, 30, 100, 300, 1_000))


@pytest.mark.parametrize(
    ("held", "alarms"), [(100, False), (130, False), (145, True), (60, True), (50, True)]
)
def test_the_sample_ratio(held: int, alarms: bool) -> None:
    p_value = sample_ratio_p(1000 - held, held, 0.1)
    assert (p_value < sequential.SAMPLE_RATIO_ALARM) == alarms
    assert sample_ratio_p(10, 0, 0.0) == 1.0


@pytest.mark.slow
def test_daily_looks_at_a_a_batches_give_few_false_alarms() -> None:
    """250 batches that change nothing. Seeded; the benchmark has the full size."""
    random = np.random.default_rng(20_26)
    leads, alarms, naive = 2_000, 0, 0
    days = np.arange(1, 61)
    for _ in range(250):
        held = random.random(leads) < 0.1
        at = np.where(random.random(leads) < 0.08, 60 * random.beta(1, 1.5, leads), np.inf)
        both = np.searchsorted(np.sort(at), days, side="right")
        of_held = np.searchsorted(np.sort(at[held]), days, side="right")
        holdout = int(held.sum())
        looks = daily_looks(leads - holdout, holdout, both.tolist())
        alarms += first_crossing(looks, of_held.tolist()) is not None
        draw = hypergeom(leads, holdout, both[13:])
        tails = np.minimum(draw.cdf(of_held[13:]), draw.sf(of_held[13:] - 1))
        naive += bool((tails < 0.025).any())
    # 5 % of 250 are 12.5, with a standard deviation of 3.4.
    assert 2 <= alarms <= 22
    assert naive > 2 * alarms
