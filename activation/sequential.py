"""Statistics of two arms that are looked at every day: false alarms stay at the level promised.

A batch has an end, so its boundary is calibrated over the daily looks that it can get. Given how
many leads have converted by a look, how many of them are in the holdout is a draw without
replacement, whatever the conversion curve, as long as the message changes nothing. From look to
look that is an urn whose whole distribution can be computed; the probability of crossing is spent
in proportion to the days (Lan and DeMets, Biometrika 70:659-663, 1983, and Statistics in Medicine
8:1191-1198, 1989, for calendar time; Kim and DeMets' power family with exponent 1). Exact at any
size; what a coarse count cannot spend is kept for later looks (as in Silva and Kulldorff,
Biometrics 71:851-858, 2015).

A campaign has no end, so its boundary holds for ever, at the price of wider intervals: the
two-sided normal mixture (Robbins, Annals of Mathematical Statistics 41:1397-1409, 1970; as an
asymptotic confidence sequence, Waudby-Smith et al., Annals of Statistics 52:2613-2640, 2024).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln

ALPHA = 0.05
WINDOW_DAYS = 60
FIRST_LOOK_DAY = 14
FEWEST_CONVERSIONS = 10
MIXTURE_AT = 10
"""The open-ended interval is tightest, against one for a single look, at ten times as many
conversions, and little wider at a hundred or a thousand times."""
SAMPLE_RATIO_ALARM = 0.001
_LARGEST_LOG_ODDS = 40.0
_NOTHING = 1e-300
_NEGLIGIBLE = 1e-25

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Look:
    """What one day's look may conclude from the holdout's share of the conversions.

    Attributes:
        day: whole days since the start.
        conversions: in both arms, by the end of that day.
        low: so many conversions of held-out leads or fewer say that the batch worked.
        high: so many or more say that it did harm.
        low_level: the one-sided level at which today's interval is cut, on the side of harm...
        high_level: ...and on the other; 0 leaves that side open.
        spent: probability of having crossed by this look if the batch changes nothing.
    """

    day: int
    conversions: int
    low: int
    high: int
    low_level: float
    high_level: float
    spent: float


def daily_looks(
    send: int,
    holdout: int,
    conversions: Sequence[int],
    *,
    alpha: float = ALPHA,
    horizon: int = WINDOW_DAYS,
    first_day: int = FIRST_LOOK_DAY,
) -> list[Look]:
    """The boundary of each daily look so far.

    Args:
        send: leads in the arm that is sent to.
        holdout: leads held out.
        conversions: in both arms together, to the end of day 1, 2, ...; never falling.
        alpha: probability of ever crossing, over the whole window, if nothing changes.
        horizon: days of the window; later looks add nothing.
        first_day: days before it are not looked at and spend nothing, as are days with fewer
            than ``FEWEST_CONVERSIONS``.

    Returns:
        The looks that count, in order of their day.
    """
    total, fixed = send + holdout, _log_factorials(send + holdout)
    state = np.ones(1)  # probability of each number of holdout conversions, not yet crossed
    drawn, spent_low, spent_high = 0, 0.0, 0.0
    looks = []
    for day, count in enumerate(conversions[:horizon], 1):
        if day < first_day or count < FEWEST_CONVERSIONS:
            continue
        state = _draw(state, total, holdout, drawn, count - drawn, fixed)
        drawn = count
        allowed = alpha / 2 * day / horizon
        below = np.cumsum(state)
        low = int(np.searchsorted(below, allowed - spent_low, side="right")) - 1
        above = np.cumsum(state[::-1])
        reached = int(np.searchsorted(above, allowed - spent_high, side="right"))
        high = len(state) - reached
        # A state that cannot occur is no boundary.
        low, high = min(low, len(state) - 1), max(high, low + 1)
        spent_low += float(state[: low + 1].sum())
        spent_high += float(state[high:].sum())
        state[: low + 1] = 0.0
        state[high:] = 0.0
        tail = _log_pmf(send, holdout, count, fixed)
        looks.append(
            Look(
                day, count, low, high,
                _level(np.cumsum(np.exp(tail)), low, allowed),
                _level(np.cumsum(np.exp(tail[::-1])), len(tail) - 1 - high, allowed),
                spent_low + spent_high,
            )
        )  # fmt: skip
    return looks


def exact_interval(
    look: Look, send: int, holdout: int, send_converted: int, holdout_converted: int
) -> tuple[float, float] | None:
    """The interval of the difference in conversion (send less holdout) at one look.

    The odds ratio's exact conditional interval (Cornfield 1956), cut at the look's levels and
    told as the difference that such odds give at the number of conversions seen. It leaves out 0
    exactly where the look's boundary is crossed.

    Returns:
        Both ends, in share of leads; None where all or nobody converted.
    """
    # Takes a second to import, which every process of Dagster would pay.
    from scipy.optimize import brentq

    converted = send_converted + holdout_converted
    if not 0 < converted < send + holdout or not send or not holdout:
        return None
    weights = _log_pmf(send, holdout, converted, _log_factorials(send + holdout))
    counts = np.arange(len(weights), dtype=float)

    def difference(log_odds: float) -> float:
        chances = _normed(weights + counts * log_odds)
        mean = float(chances @ counts)
        return (converted - mean) / send - mean / holdout

    def end(level: float, *, upper: bool) -> float:
        """The holdout's log odds ratio at which what was seen is this unlikely."""
        part = slice(0, holdout_converted + 1) if upper else slice(holdout_converted, None)

        def excess(log_odds: float) -> float:
            tail = float(_normed(weights + counts * log_odds)[part].sum())
            return math.log(max(tail, _NOTHING)) - math.log(level)

        far = _LARGEST_LOG_ODDS if upper else -_LARGEST_LOG_ODDS
        if level <= 0 or excess(far) >= 0:
            return far
        return float(brentq(excess, -far, far))

    return difference(end(look.low_level, upper=True)), difference(
        end(look.high_level, upper=False)
    )


def first_crossing(looks: Sequence[Look], holdout_converted: Sequence[int]) -> Look | None:
    """The first look at which the boundary was crossed.

    Args:
        looks: of :func:`daily_looks`.
        holdout_converted: conversions of held-out leads to the end of day 1, 2, ...
    """
    for look in looks:
        if not look.low < holdout_converted[look.day - 1] < look.high:
            return look
    return None


def mixture_factor(conversions: int, *, alpha: float = ALPHA) -> float:
    """How many standard errors wide an interval is that holds at every number of conversions."""
    if conversions <= 0:
        return math.inf
    ratio = conversions / MIXTURE_AT
    return math.sqrt((1 + 1 / ratio) * math.log((1 + ratio) / alpha**2))


def newcombe(
    send: int, holdout: int, send_converted: int, holdout_converted: int, factor: float
) -> tuple[float, float]:
    """The interval of a difference in shares by Newcombe's hybrid score method.

    Newcombe (1998), Statistics in Medicine 17:873-890, method 10, with ``factor`` standard errors
    in place of 1.96.
    """
    low_s, high_s = _wilson(send_converted, send, factor)
    low_h, high_h = _wilson(holdout_converted, holdout, factor)
    rate_s = send_converted / send if send else 0.0
    rate_h = holdout_converted / holdout if holdout else 0.0
    lift = rate_s - rate_h
    return (
        lift - math.hypot(rate_s - low_s, high_h - rate_h),
        lift + math.hypot(high_s - rate_s, rate_h - low_h),
    )


def open_ended_interval(
    send: int, holdout: int, send_converted: int, holdout_converted: int
) -> tuple[float, float]:
    """The interval of a campaign's difference in shares, however long it runs."""
    factor = mixture_factor(send_converted + holdout_converted)
    return newcombe(send, holdout, send_converted, holdout_converted, factor)


def mean_interval(
    means: tuple[float, float], variance: float, sizes: tuple[int, int], events: int
) -> tuple[float, float]:
    """The interval of a difference in means per lead (send less holdout), however often looked at.

    Args:
        means: of the two arms, such as cents a lead.
        variance: of single leads over both arms: a small holdout with hardly any deal of its own
            would seem far too certain.
        sizes: leads in the two arms.
        events: leads with any value; what the interval's certainty grows with.
    """
    half = mixture_factor(events) * math.sqrt(variance * (1 / sizes[0] + 1 / sizes[1]))
    difference = means[0] - means[1]
    return difference - half, difference + half


def sample_ratio_p(send: int, holdout: int, share: float) -> float:
    """Two-sided exact binomial probability of a split as far from ``share`` as this one."""
    from scipy.stats import binomtest

    total = send + holdout
    if not total or not 0 < share < 1:
        return 1.0
    return float(binomtest(holdout, total, share).pvalue)


def _normed(log_weights: Floats) -> Floats:
    """Probabilities in proportion to the exponentials of the weights."""
    weights = np.exp(log_weights - log_weights.max())
    return np.asarray(weights / weights.sum())


@lru_cache(maxsize=8)
def _log_factorials(most: int) -> Floats:
    return np.asarray(gammaln(np.arange(most + 2, dtype=float) + 1.0))


def _log_choose(top: Floats | int, bottom: Floats, fixed: Floats) -> Floats:
    """Logarithm of the binomial coefficient; minus infinity where it is 0."""
    tops = np.broadcast_to(np.asarray(top), np.broadcast_shapes(np.shape(top), bottom.shape))
    possible = (bottom >= 0) & (bottom <= tops)
    k = np.where(possible, bottom, 0).astype(int)
    n = np.where(tops >= 0, tops, 0).astype(int)
    rest = np.where(possible, n - k, 0)
    return np.where(possible, fixed[n] - fixed[k] - fixed[rest], -np.inf)


def _log_pmf(send: int, holdout: int, converted: int, fixed: Floats) -> Floats:
    """Log probability of 0, 1, ... conversions in the holdout, when nothing changes."""
    counts = np.arange(min(holdout, converted) + 1, dtype=float)
    total = _log_choose(send + holdout, np.asarray([float(converted)]), fixed)
    return np.asarray(
        _log_choose(holdout, counts, fixed) + _log_choose(send, converted - counts, fixed) - total
    )


def _draw(state: Floats, total: int, holdout: int, drawn: int, more: int, fixed: Floats) -> Floats:
    """The state after ``more`` draws from what is left of the urn."""
    size = min(holdout, drawn + more) + 1
    after = np.zeros(size)
    likely = np.flatnonzero(state > _NEGLIGIBLE)
    if more == 0 or not len(likely):
        after[: len(state)] = state
        return after
    first, last = int(likely[0]), int(likely[-1]) + 1
    held = np.arange(first, last, dtype=float)
    new = np.arange(min(more, holdout) + 1, dtype=float)[:, None]
    left_held, left = holdout - held, total - drawn
    whole = _log_choose(left, np.asarray([float(more)]), fixed)
    chances = np.exp(
        _log_choose(left_held, new + 0 * held, fixed)
        + _log_choose(left - left_held, more - new + 0 * held, fixed)
        - whole
    )
    moved = chances * state[first:last]
    for count, row in enumerate(moved):
        end = min(last + count, size)
        if end > first + count:
            after[first + count : end] += row[: end - first - count]
    return after


def _level(tail: Floats, boundary: int, allowed: float) -> float:
    """A level between what the boundary's count has and what the next count would have.

    Any such level decides as the boundary does; the middle on a log scale is free of rounding.
    Where no count is extreme enough, what may be spent by today.
    """
    following = float(tail[boundary + 1]) if boundary + 1 < len(tail) else 1.0
    reached = float(tail[boundary]) if 0 <= boundary < len(tail) else 0.0
    if reached <= _NOTHING:
        return min(allowed, following * (1 - 1e-9)) if following > _NOTHING else allowed
    return math.sqrt(reached * following)


def _wilson(successes: int, total: int, factor: float) -> tuple[float, float]:
    if total == 0:
        return 0.0, 1.0
    if math.isinf(factor):
        return 0.0, 1.0
    rate, square = successes / total, factor**2
    middle = (rate + square / (2 * total)) / (1 + square / total)
    half = (
        factor
        * math.sqrt(rate * (1 - rate) / total + square / (4 * total**2))
        / (1 + square / total)
    )
    return middle - half, middle + half
