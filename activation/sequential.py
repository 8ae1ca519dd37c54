"""Statistics of two arms that are looked at every day: false alarms stay at the level promised.

A batch has an end, so its boundary is calibrated over the daily looks that it can get, on the urn
of :mod:`activation.urn`, whose whole distribution can be computed from look to look. The
probability of crossing is spent in proportion to the days (Lan and DeMets, Biometrika 70:659-663,
1983, and Statistics in Medicine 8:1191-1198, 1989, for calendar time; Kim and DeMets' power family
with exponent 1). Exact at any size; what a coarse count cannot spend is kept for later looks (as
in Silva and Kulldorff, Biometrics 71:851-858, 2015). On the last day there is no later look, so a
count at which some of the level is left, but not enough for all batches with that count, is
divided by the count of the day before, then by that of the day before that, and so on: the test
has its level without a coin (Lehmann and Romano, Testing Statistical Hypotheses, section 3.2, on
what a coin would be for).

A campaign has no end, so its boundary holds for ever, at the price of wider intervals: the
two-sided normal mixture (Robbins, Annals of Mathematical Statistics 41:1397-1409, 1970; as an
asymptotic confidence sequence, Waudby-Smith et al., Annals of Statistics 52:2613-2640, 2024).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from activation.urn import Floats, Urn

ALPHA = 0.05
WINDOW_DAYS = 60
FIRST_LOOK_DAY = 14
FEWEST_CONVERSIONS = 10
LEAST_FALSE_ALARM = 0.04
"""A batch that spends less by its last day had no fair chance to be told from chance."""
MIXTURE_AT = 10
"""The open-ended interval is tightest, against one for a single look, at ten times as many
conversions, and little wider at a hundred or a thousand times."""
SAMPLE_RATIO_ALARM = 0.001
_LARGEST_LOG_ODDS = 40.0
_NOTHING = 1e-300
_NEGLIGIBLE = 1e-12

Said = Literal["worked", "harm"]


@dataclass(frozen=True, slots=True)
class Tie:
    """How the last look divides the batches that have the count next to the boundary.

    Attributes:
        bound: conversions of held-out leads to the end of the last day (that count), of the day
            before, and so on. Where the first days that differ from it are beyond it, the batch
            has crossed.
        share: how many of the orders with that count do, of those in which conversions can come.
    """

    bound: tuple[int, ...]
    share: float


_NO_TIE = Tie((), 0.0)


@dataclass(frozen=True, slots=True)
class Look:
    """What one day's look may conclude from the holdout's share of the conversions.

    Attributes:
        day: whole days since the start.
        conversions: in both arms, by the end of that day.
        low: so many conversions of held-out leads or fewer say that the batch worked.
        high: so many or more say that it did harm.
        low_level: the one-sided level at which today's interval is cut, on the side of harm...
        high_level: ...and on the other.
        spent: probability of having crossed by this look if the batch changes nothing.
        low_tie: on the last day, how a count of one more than ``low`` is judged...
        high_tie: ...and of one fewer than ``high``.
    """

    day: int
    conversions: int
    low: int
    high: int
    low_level: float
    high_level: float
    spent: float
    low_tie: Tie = _NO_TIE
    high_tie: Tie = _NO_TIE

    def says(self, held: Sequence[int]) -> Said | None:
        """What this look alone concludes; None for nothing.

        Args:
            held: conversions of held-out leads to the end of day 1, 2, ...
        """
        latest_first = tuple(held[self.day - 1 :: -1])
        low, high = self.low_tie.bound, self.high_tie.bound
        if latest_first[0] <= self.low or latest_first[: len(low)] < low:
            return "worked"
        if latest_first[0] >= self.high or latest_first[: len(high)] > high:
            return "harm"
        return None


def fewest_to_tell(send: int, holdout: int, *, alpha: float = ALPHA) -> int:
    """The fewest conversions at which a batch can be told to have worked, and to have done harm.

    With fewer, all of them in one arm would still be more probable than the half of ``alpha``.
    """
    smaller, total = min(send, holdout), send + holdout
    all_in_larger, count = 1.0, 0
    while all_in_larger > alpha / 2 and count < total:
        all_in_larger *= max(total - smaller - count, 0) / (total - count)
        count += 1
    return max(count, FEWEST_CONVERSIONS)


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
    urn = Urn(send, holdout)
    state = np.ones(1)  # probability of each number of holdout conversions, not yet crossed
    drawn, spent_low, spent_high = 0, 0.0, 0.0
    days: list[tuple[int, Floats]] = []  # of each day: conversions, and the state after its look
    looks = []
    for day, count in enumerate(conversions[:horizon], 1):
        state = urn.draw(state, drawn, count - drawn)
        drawn = count
        days.append((count, state))
        if day < first_day or count < FEWEST_CONVERSIONS:
            continue
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
        chances = np.exp(urn.log_pmf(count))
        low_tie = high_tie = _NO_TIE
        # One count alone is not divided between the two: neither would know what the other took.
        if day == horizon and high - low > 2:
            low_tie = _divide(urn, days, low + 1, allowed - spent_low, from_above=False)
            high_tie = _divide(urn, days, high - 1, allowed - spent_high, from_above=True)
            spent_low += low_tie.share * float(chances[low + 1])
            spent_high += high_tie.share * float(chances[high - 1])
        state[: low + 1] = 0.0
        state[high:] = 0.0
        looks.append(
            Look(
                day, count, low, high,
                _level(chances, low, low_tie, allowed),
                _level(chances[::-1], len(chances) - 1 - high, high_tie, allowed),
                spent_low + spent_high, low_tie, high_tie,
            )
        )  # fmt: skip
    return looks


def exact_interval(
    look: Look, send: int, holdout: int, held: Sequence[int]
) -> tuple[float, float] | None:
    """The interval of the difference in conversion (send less holdout) at one look.

    The odds ratio's exact conditional interval (Cornfield 1956), cut at the look's levels and
    told as the difference that such odds give at the number of conversions seen. It leaves out 0
    exactly where the look's boundary is crossed. Of a tie, only the orders that cross count as
    extreme (as in Stevens, Biometrika 37:117-129, 1950): they are the same share at any odds.

    Args:
        look: of :func:`daily_looks`.
        send: leads in the arm that is sent to.
        holdout: leads held out.
        held: conversions of held-out leads to the end of day 1, 2, ...

    Returns:
        Both ends, in share of leads; None where all or nobody converted.
    """
    # Takes a second to import, which every process of Dagster would pay.
    from scipy.optimize import brentq

    converted, seen, said = look.conversions, held[look.day - 1], look.says(held)
    if not 0 < converted < send + holdout or not send or not holdout:
        return None
    weights = Urn(send, holdout).log_pmf(converted)
    counts = np.arange(len(weights), dtype=float)

    def difference(log_odds: float) -> float:
        chances = _normed(weights + counts * log_odds)
        mean = float(chances @ counts)
        return (converted - mean) / send - mean / holdout

    def end(level: float, counted: Floats, far: float) -> float:
        """The holdout's log odds ratio at which what was seen is this unlikely."""

        def excess(log_odds: float) -> float:
            tail = float(_normed(weights + counts * log_odds) @ counted)
            return math.log(max(tail, _NOTHING)) - math.log(level)

        if level <= 0 or excess(far) >= 0:
            return far
        return float(brentq(excess, -far, far))

    fewer, more = (counts <= seen).astype(float), (counts >= seen).astype(float)
    if said == "worked" and seen > look.low:
        fewer[seen] = look.low_tie.share
    if said == "harm" and seen < look.high:
        more[seen] = look.high_tie.share
    return (
        difference(end(look.low_level, fewer, _LARGEST_LOG_ODDS)),
        difference(end(look.high_level, more, -_LARGEST_LOG_ODDS)),
    )


def first_crossing(looks: Sequence[Look], held: Sequence[int]) -> Look | None:
    """The first look at which the boundary was crossed.

    Args:
        looks: of :func:`daily_looks`.
        held: conversions of held-out leads to the end of day 1, 2, ...
    """
    return next((look for look in looks if look.says(held) is not None), None)


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


def _divide(
    urn: Urn, days: Sequence[tuple[int, Floats]], count: int, left: float, *, from_above: bool
) -> Tie:
    """Divides the batches with one count on the last day, so that what is left of the level fits.

    Args:
        urn: of the batch.
        days: conversions to the end of each day, and probability of each number of them in the
            holdout without having crossed.
        count: conversions of held-out leads on the last day.
        left: probability that may still be spent.
        from_above: whether a higher count on an earlier day is more extreme, or a lower one.
    """
    bound, spent, onwards = [count], 0.0, 1.0
    drawn = days[-1][0]
    for before, state in reversed(days[:-1]):
        # Of each count on that day: the probability of having it, and from then on the bound.
        held = np.arange(min(len(state), bound[-1] + 1))
        steps = urn.chances(held, bound[-1] - held, before, drawn - before) * onwards
        through = state[: len(held)] * steps
        reached = np.cumsum(through[::-1] if from_above else through)
        whole = int(np.searchsorted(reached, left - spent, side="right"))
        if whole == len(held):
            break
        spent += float(reached[whole - 1]) if whole else 0.0
        bound.append(len(held) - 1 - whole if from_above else whole)
        onwards = float(steps[bound[-1]])
        drawn = before
        if through[bound[-1]] < _NEGLIGIBLE:
            break
    return Tie(tuple(bound), spent / math.exp(urn.log_pmf(days[-1][0])[count]))


def _level(chances: Floats, boundary: int, tie: Tie, allowed: float) -> float:
    """A level between what the boundary's count has and what the next count would have.

    Any such level decides as the boundary does; the middle on a log scale is free of rounding.
    Where no count is extreme enough, what may be spent by today.
    """
    tail = np.cumsum(chances)
    following = float(tail[boundary + 1]) if boundary + 1 < len(tail) else 1.0
    reached = float(tail[boundary]) if 0 <= boundary < len(tail) else 0.0
    if tie.share > 0:
        reached += tie.share * float(chances[boundary + 1])
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
