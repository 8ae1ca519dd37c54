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
    fewest_to_tell,
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


def shapes(final: int) -> dict[str, list[int]]:
    """Conversions that come evenly, early, late, and once a week."""
    days = np.arange(1, 61) / 60
    early, late = 1 - (1 - days) ** 5, days**3
    return {
        "evenly": ramp(final),
        "early": np.floor(final * early).astype(int).tolist(),
        "late": np.floor(final * late + 1e-9).astype(int).tolist(),
        "weekly": [final * (day // 7) // 8 for day in range(1, 61)],
    }


GRID = [
    (leads, share, base)
    for leads in (300, 500, 1_000, 3_000, 20_000)
    for share in (0.05, 0.1, 0.3, 0.5)
    for base in (0.03, 0.08, 0.2)
    if leads * share >= 30
]


@pytest.mark.parametrize(("leads", "share", "base"), GRID)
def test_the_false_alarm_rate_is_five_percent_or_it_is_said_that_data_are_missing(
    leads: int, share: float, base: float
) -> None:
    """The exact rate: at most 5 %, and at least 4 % wherever there are conversions enough."""
    holdout, final = round(leads * share), round(leads * base)
    send = leads - holdout
    for shape, conversions in shapes(final).items():
        looks = daily_looks(send, holdout, conversions)
        if not looks:
            assert final < sequential.FEWEST_CONVERSIONS
            continue
        for look in looks:
            assert look.spent <= 0.05 * look.day / 60 + 1e-12, (shape, look.day)
        if final >= fewest_to_tell(send, holdout):
            assert looks[-1].spent >= 0.045, shape
        else:
            assert looks[-1].spent <= 0.025 + 1e-12, "one side cannot be told"


@pytest.mark.parametrize(("send", "holdout"), [(450, 50), (50, 450), (300, 300), (60, 30), (30, 3)])
def test_the_fewest_conversions_are_those_at_which_both_sides_can_be_told(
    send: int, holdout: int
) -> None:
    fewest = fewest_to_tell(send, holdout)
    draw = hypergeom(send + holdout, holdout, fewest)
    assert max(draw.pmf(0), draw.pmf(fewest)) <= 0.025
    if fewest > sequential.FEWEST_CONVERSIONS:
        draw = hypergeom(send + holdout, holdout, fewest - 1)
        assert max(draw.pmf(0), draw.pmf(fewest - 1)) > 0.025


def test_a_tie_on_the_last_day_is_divided_by_the_days_before() -> None:
    """With the same count, the batch worked whose held-out leads converted later."""
    looks = daily_looks(450, 50, ramp(40))
    last = looks[-1]
    assert last.low_tie.bound[0] == last.low + 1 == 1
    late, early = [0] * 59 + [1], [1] * 60
    assert late[:-1] < early
    assert last.says(late) == "worked"
    assert last.says(early) is None
    assert all(look.low_tie.bound == look.high_tie.bound == () for look in looks[:-1])
    worked, nothing = (exact_interval(last, 450, 50, held) for held in (late, early))
    assert worked is not None
    assert nothing is not None
    assert worked[0] > 0 > nothing[0]
    assert worked[1] == nothing[1]


@pytest.mark.parametrize("factor", [0.4, 1.0, 2.5])
def test_the_interval_of_a_divided_tie_holds(factor: float) -> None:
    """Over all outcomes of the last day, at odds that are not even. Seeded."""
    random = np.random.default_rng(7)
    send, holdout, conversions = 450, 50, ramp(40)
    last = daily_looks(send, holdout, conversions)[-1]
    chance = nchypergeom_fisher(send + holdout, holdout, 40, factor)
    truth = (40 - chance.mean()) / send - chance.mean() / holdout
    missed = {"low": 0, "high": 0}
    for count in chance.rvs(600, random_state=random):
        held = random.permutation(40) < count
        low, high = exact_interval(
            last, send, holdout, [int(held[:done].sum()) for done in conversions]
        ) or (0.0, 0.0)
        missed["low"] += low > truth
        missed["high"] += high < truth
    # 2.5 % of 600 are 15 on each side, with a standard deviation of 3.8.
    assert max(missed.values()) <= 26


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
        interval = exact_interval(look, send, holdout, [*[0] * (look.day - 1), held])
        assert interval is not None
        low, high = interval
        said = look.says([*[0] * (look.day - 1), held])
        assert (low > 0) == (said == "worked")
        assert (high < 0) == (said == "harm")
        if day < 60:
            assert said == ("worked" if held <= look.low else "harm" if held >= look.high else None)
        difference = (look.conversions - held) / send - held / holdout
        assert low - 1e-9 <= difference <= high + 1e-9


def test_the_interval_is_that_of_another_program() -> None:
    look = Look(20, 41, 0, 41, 0.01, 0.02, 0.0)
    interval = exact_interval(look, 150, 50, [0] * 19 + [6])
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
@pytest.mark.parametrize(("leads", "base"), [(500, 0.08), (500, 0.2), (2_000, 0.08)])
def test_a_a_batches_looked_at_daily_give_false_alarms_in_five_percent(
    leads: int, base: float
) -> None:
    """20,000 batches: 200 curves of conversions, each with 100 draws of who is held out. Seeded."""
    random = np.random.default_rng(20_26)
    holdout, days = leads // 10, np.arange(1, 61)
    batches = alarms = 0
    for _ in range(200):
        converts = random.random(leads) < base
        at = np.sort(60 * random.beta(1, 1.5, int(converts.sum())))
        done = np.searchsorted(at, days, side="right")
        looks = daily_looks(leads - holdout, holdout, done.tolist())
        if looks[-1].spent < sequential.LEAST_FALSE_ALARM:
            continue
        for _ in range(100):
            held = np.concatenate([[0], np.cumsum(random.permutation(leads)[: len(at)] < holdout)])
            batches += 1
            alarms += first_crossing(looks, held[done].tolist()) is not None
    assert batches > 15_000
    # One standard deviation of the simulation is 0.15 points.
    assert 0.045 < alarms / batches < 0.055
