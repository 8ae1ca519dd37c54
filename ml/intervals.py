"""How sure a probability is: 90 % intervals from rows that a model was not trained on.

A calibrated probability speaks of a group: of the leads that are scored alike so many convert. How
well that share is known depends on how many such leads the model was judged on, so the interval of
a score is that of the share among judging rows near it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import stats

from ml.calibration import logit
from ml.schema import Matrix

LEVEL = 0.90
# Scores within about half a unit of log-odds count as alike.
_WIDTH = 0.5
_KNOTS = 25


def beta_interval(rate: Matrix, rows: Matrix, level: float = LEVEL) -> tuple[Matrix, Matrix]:
    """Jeffreys' interval of a share seen in so many independent rows; it holds the share itself.

    Args:
        rate: the share, 0 to 1.
        rows: how many rows it was seen in; need not be whole.
        level: the interval's coverage.
    """
    tail = (1.0 - level) / 2.0
    a, b = rate * rows + 0.5, (1.0 - rate) * rows + 0.5
    low = np.minimum(stats.beta.ppf(tail, a, b), rate)
    high = np.maximum(stats.beta.ppf(1.0 - tail, a, b), rate)
    return np.asarray(low, dtype=np.float64), np.asarray(high, dtype=np.float64)


@dataclass(frozen=True)
class Precision:
    """How many independent judging rows stand behind a score, along the log-odds of scores.

    Attributes:
        log_odds: knots, rising.
        rows: independent rows near each knot.
    """

    log_odds: tuple[float, ...]
    rows: tuple[float, ...]

    @classmethod
    def measured(cls, score: Matrix, groups: "np.ndarray[Any, Any]") -> "Precision":
        """Of judging rows: their scores, and the lead per row.

        Rows of one lead are not independent: they count as much as their leads do.
        """
        place = logit(score)
        independent = len(np.unique(groups.astype(str))) / len(score)
        knots = np.linspace(float(place.min()), float(place.max()), _KNOTS)
        weight = np.exp(-0.5 * ((place[None, :] - knots[:, None]) / _WIDTH) ** 2)
        # Of rows with unequal weights as many count as equal ones would say the same.
        rows = weight.sum(axis=1) ** 2 / np.maximum((weight**2).sum(axis=1), 1e-12)
        return cls(tuple(map(float, knots)), tuple(float(v) for v in rows * independent))

    def at(self, score: Matrix) -> Matrix:
        """Independent rows near each score."""
        return np.asarray(np.interp(logit(score), self.log_odds, self.rows), dtype=np.float64)

    def interval(self, score: Matrix) -> tuple[Matrix, Matrix]:
        """The 90 % interval of each score."""
        return beta_interval(score, self.at(score))

    def to_dict(self) -> dict[str, Any]:
        """As JSON holds it."""
        return {"log_odds": list(self.log_odds), "rows": list(self.rows)}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "Precision":
        """The reverse of :meth:`to_dict`."""
        return cls(tuple(data["log_odds"]), tuple(data["rows"]))
