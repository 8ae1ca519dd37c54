"""How much a ranking by effect gains: the Qini curve, its area, and how sure both are.

The curve says how many outcomes more there are per row when the first ``k`` of a ranking are
treated: the difference between the arms' shares among them, times ``k`` over all rows. A random
ranking gives a straight line to the same end. Radcliffe (2007), "Using control groups to target on
predicted lift".
"""

from dataclasses import dataclass

import numpy as np

from ml.schema import Matrix

LEVEL = 0.90


@dataclass(frozen=True)
class Estimate:
    """A figure with its interval."""

    value: float
    low: float
    high: float

    @property
    def is_positive(self) -> bool:
        """Whether the interval lies above zero."""
        return self.low > 0

    @property
    def excludes_zero(self) -> bool:
        """Whether the interval lies on one side of zero."""
        return self.low > 0 or self.high < 0


def qini_curve(ranking: Matrix, treated: Matrix, outcome: Matrix) -> Matrix:
    """Outcomes gained per row by treating the first 1, 2, ... n of a ranking, best first."""
    return _curve(np.argsort(-ranking, kind="stable"), treated, outcome, np.ones(len(outcome)))


def qini(
    ranking: Matrix,
    treated: Matrix,
    outcome: Matrix,
    *,
    resamples: int = 200,
    seed: int = 7,
    level: float = LEVEL,
) -> Estimate:
    """Area between the curve and a random policy's line: outcomes per row, over all depths.

    Args:
        ranking: the larger, the earlier treated; equal ones in the order given, so break ties.
        treated: 1 or 0 per row, drawn at random.
        outcome: per row.
        resamples: of the bootstrap behind the interval, over rows.
        seed: of the bootstrap.
        level: of the interval.
    """
    return _estimates({"it": ranking}, treated, outcome, resamples, seed, level)["it"]


def qini_differences(
    ranking: Matrix,
    others: dict[str, Matrix],
    treated: Matrix,
    outcome: Matrix,
    *,
    resamples: int = 200,
    seed: int = 7,
    level: float = LEVEL,
) -> dict[str, Estimate]:
    """The area of one ranking less those of others, on the same resampled rows."""
    rankings = {"": ranking, **others}
    orders = {name: np.argsort(-r, kind="stable") for name, r in rankings.items()}
    values = {name: _area(o, treated, outcome, None) for name, o in orders.items()}
    drawn: dict[str, list[float]] = {name: [] for name in others}
    for weight in _resampled(len(outcome), resamples, seed):
        own = _area(orders[""], treated, outcome, weight)
        for name in others:
            drawn[name].append(own - _area(orders[name], treated, outcome, weight))
    return {name: _estimate(values[""] - values[name], drawn[name], level) for name in others}


def average_effect(treated: Matrix, outcome: Matrix, *, level: float = LEVEL) -> Estimate:
    """Difference between the arms' means, with the normal interval of two independent means."""
    from scipy.stats import norm

    arms = outcome[treated > 0.5], outcome[treated < 0.5]
    value = float(arms[0].mean() - arms[1].mean())
    error = float(np.sqrt(sum(arm.var(ddof=1) / len(arm) for arm in arms)))
    reach = float(norm.ppf(0.5 + level / 2)) * error
    return Estimate(value, value - reach, value + reach)


def _estimates(
    rankings: dict[str, Matrix],
    treated: Matrix,
    outcome: Matrix,
    resamples: int,
    seed: int,
    level: float,
) -> dict[str, Estimate]:
    orders = {name: np.argsort(-r, kind="stable") for name, r in rankings.items()}
    drawn: dict[str, list[float]] = {name: [] for name in rankings}
    for weight in _resampled(len(outcome), resamples, seed):
        for name, order in orders.items():
            drawn[name].append(_area(order, treated, outcome, weight))
    return {
        name: _estimate(_area(order, treated, outcome, None), drawn[name], level)
        for name, order in orders.items()
    }


def _resampled(rows: int, resamples: int, seed: int) -> "list[Matrix]":
    random = np.random.default_rng(seed)
    return [
        np.bincount(random.integers(0, rows, rows), minlength=rows).astype(np.float64)
        for _ in range(resamples)
    ]


def _area(
    order: "np.ndarray[tuple[int], np.dtype[np.int64]]",
    treated: Matrix,
    outcome: Matrix,
    weight: Matrix | None,
) -> float:
    weights = np.ones(len(outcome)) if weight is None else weight
    curve = _curve(order, treated, outcome, weights)
    depth = np.cumsum(weights[order]) / weights.sum()
    return float(np.average(curve - depth * curve[-1], weights=weights[order]))


def _curve(
    order: "np.ndarray[tuple[int], np.dtype[np.int64]]",
    treated: Matrix,
    outcome: Matrix,
    weight: Matrix,
) -> Matrix:
    t, y, w = treated[order], outcome[order], weight[order]
    in_treated, in_control = np.cumsum(w * t), np.cumsum(w * (1 - t))
    # Before both arms have a row there is no difference to speak of.
    both = (in_treated > 0) & (in_control > 0)
    share_treated = np.cumsum(w * t * y) / np.maximum(in_treated, 1e-12)
    share_control = np.cumsum(w * (1 - t) * y) / np.maximum(in_control, 1e-12)
    return np.where(both, (share_treated - share_control) * np.cumsum(w) / w.sum(), 0.0)


def _estimate(value: float, drawn: "list[float]", level: float) -> Estimate:
    tail = 100 * (1 - level) / 2
    low, high = np.percentile(drawn, [tail, 100 - tail])
    return Estimate(value, float(low), float(high))
