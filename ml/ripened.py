"""Whether scores came true: those whose label window is over, beside what happened."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import psycopg

from ml.schema import Matrix
from ml.statements import statement

# Fewer conversions than this, expected or observed, tell nothing.
LEAST_OUTCOMES = 30
# What is off by less is no reason to train again, however sure it is.
LARGE = 0.02
_CHANCE = 1e-4
_PARTS = 10


@dataclass(frozen=True)
class Part:
    """Leads of like scores.

    Attributes:
        rows: leads.
        predicted: mean score.
        observed: share that converted within the window.
        low, high: 95 % interval of that share (Wilson).
    """

    rows: int
    predicted: float
    observed: float
    low: float
    high: float


@dataclass(frozen=True)
class Calibration:
    """Predicted against observed.

    Attributes:
        rows: leads, one score each.
        expected: sum of the scores.
        observed: conversions.
        ratio: observed over expected.
        low, high: its 95 % interval.
        error: mean gap between predicted and observed over the parts, weighted by rows (ECE).
        by_chance: the chance of so much deviation if every score held.
        parts: tenths of the leads by score, lowest first.
    """

    rows: int
    expected: float
    observed: int
    ratio: float
    low: float
    high: float
    error: float
    by_chance: float
    parts: tuple[Part, ...]

    @property
    def enough(self) -> bool:
        """Whether there are outcomes enough to tell."""
        return min(max(self.expected, self.observed), self.rows / 2) >= LEAST_OUTCOMES

    @property
    def off(self) -> bool:
        """Wrong by much, and not by chance."""
        return self.enough and self.error > LARGE and self.by_chance < _CHANCE


def read_ripened(
    connection: psycopg.Connection, known_until: datetime, label_days: int, back_days: int
) -> tuple[Matrix, Matrix]:
    """Scores whose window is over by ``known_until``, and whether the lead converted in it.

    One score a lead, the newest of the ripe ones: a lead's scores share one outcome. Leads that
    were deleted within the window are left out, as they are in training.

    Args:
        connection: to the warehouse.
        known_until: the moment that the warehouse was last built for; later nobody knows.
        label_days: length of the window.
        back_days: how far before the newest ripe moment scores are taken from.
    """
    ripe = known_until - timedelta(days=label_days)
    rows = connection.execute(
        statement("ripened.sql"),
        {
            "ripe": ripe,
            "from": ripe - timedelta(days=back_days),
            "label_days": label_days,
        },
    ).fetchall()
    values = np.array(rows, dtype=np.float64).reshape(-1, 2)
    return values[:, 0], values[:, 1]


def compare(scores: Matrix, outcomes: Matrix) -> Calibration:
    """Predicted against observed, over all and in tenths by score."""
    from scipy.stats import chi2

    rows = len(scores)
    expected, observed = float(scores.sum()), int(outcomes.sum())
    order = np.argsort(scores, kind="stable")
    groups = [part for part in np.array_split(order, _PARTS) if len(part)]
    parts = tuple(_part(scores[group], outcomes[group]) for group in groups)
    deviations = [_deviation(scores[group], outcomes[group]) for group in groups]
    low, high = _ratio_interval(observed, expected)
    return Calibration(
        rows=rows,
        expected=expected,
        observed=observed,
        ratio=observed / expected if expected else float("nan"),
        low=low,
        high=high,
        error=sum(p.rows * abs(p.predicted - p.observed) for p in parts) / max(rows, 1),
        by_chance=float(chi2.sf(sum(deviations), max(len(groups), 1))),
        parts=parts,
    )


def _part(scores: Matrix, outcomes: Matrix) -> Part:
    low, high = wilson(int(outcomes.sum()), len(outcomes))
    return Part(len(scores), float(scores.mean()), float(outcomes.mean()), low, high)


def _deviation(scores: Matrix, outcomes: Matrix) -> float:
    variance = float(np.sum(scores * (1 - scores)))
    return float((outcomes.sum() - scores.sum()) ** 2 / max(variance, 1e-9))


def wilson(hits: int, rows: int, z: float = 1.959964) -> tuple[float, float]:
    """Interval of a share (Wilson, 1927); 0 to 1 of no rows at all."""
    if not rows:
        return 0.0, 1.0
    share = hits / rows
    middle = (share + z * z / (2 * rows)) / (1 + z * z / rows)
    half = z * np.sqrt(share * (1 - share) / rows + z * z / (4 * rows * rows)) / (1 + z * z / rows)
    # Of all or none, rounding would leave the share itself out by a hair.
    return float(max(0.0, min(share, middle - half))), float(min(1.0, max(share, middle + half)))


def _ratio_interval(observed: int, expected: float) -> tuple[float, float]:
    """Exact Poisson interval of the count over what was expected (Garwood, 1936)."""
    from scipy.stats import chi2

    if not expected:
        return 0.0, float("inf")
    low = float(chi2.ppf(0.025, 2 * observed)) / 2 if observed else 0.0
    return low / expected, float(chi2.ppf(0.975, 2 * (observed + 1))) / 2 / expected


def as_rows(calibration: Calibration) -> Sequence[dict[str, Any]]:
    """The parts as a table has them, in percent."""
    return [
        {
            "leads": part.rows,
            "predicted": f"{part.predicted:.1%}",
            "observed": f"{part.observed:.1%}",
            "interval": f"{part.low:.1%} to {part.high:.1%}",
        }
        for part in calibration.parts
    ]
