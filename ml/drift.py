"""Whether what the model is given, and what it says, is still what it was.

The population stability index (PSI) compares the shares of rows in bins: sum over the bins of
(now - then) * ln(now / then). Under 0.1 it is usually read as steady, above 0.25 as another
population (Siddiqi, Credit Risk Scorecards, 2006). The bins are fixed at training and travel with
the model. The rule of thumb knows nothing of sample sizes: without any drift the index times
n*m/(n+m) has about a chi-squared distribution with one degree of freedom less than there are bins
(Yurdakul, Statistical Properties of Population Stability Index, 2018), so an index counts only if
it is large and chance does not explain it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ml.model import LeadModel
from ml.schema import Feature, Matrix

SCORE = "score"
LARGE = 0.25
# Fewer rows than this tell nothing, however their shares look.
LEAST_ROWS = 200
# Over a hundred inputs, a thousandth each would give a false alarm in ten looks.
_CHANCE = 1e-5
_PARTS = 10
_SMOOTHING = 0.5


@dataclass(frozen=True)
class Bins:
    """How one column is counted.

    Attributes:
        name: the feature, or ``score``.
        edges: a number's inner bin edges, rising; a value equal to an edge is above it.
        codes: how many codes a category has; 0 for numbers.
    """

    name: str
    edges: tuple[float, ...]
    codes: int = 0

    def count(self, column: Matrix) -> "np.ndarray[Any, np.dtype[np.int64]]":
        """Rows per bin; of numbers the last bin holds the missing ones."""
        if self.codes:
            codes = np.clip(column, 0, self.codes - 1).astype(np.int64)
            return np.bincount(codes, minlength=self.codes)
        missing = np.isnan(column)
        places = np.searchsorted(np.array(self.edges), column[~missing], side="right")
        counts = np.bincount(places, minlength=len(self.edges) + 1)
        return np.append(counts, missing.sum())

    def to_dict(self) -> dict[str, Any]:
        """As JSON holds it."""
        return {"name": self.name, "edges": list(self.edges), "codes": self.codes}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "Bins":
        """The reverse of :meth:`to_dict`."""
        return cls(data["name"], tuple(data["edges"]), data["codes"])


@dataclass(frozen=True)
class Drift:
    """How one column moved.

    Attributes:
        name: the feature, or ``score``.
        psi: the index.
        by_chance: what it could be, once in 100,000 looks, though nothing had changed.
        missing_then, missing_now: shares of rows without a value.
        rows: rows now.
        enough: whether there are enough rows to tell, then and now.
    """

    name: str
    psi: float
    by_chance: float
    missing_then: float
    missing_now: float
    rows: int
    enough: bool

    @property
    def drifted(self) -> bool:
        """Large, and not by chance."""
        return self.enough and self.psi > max(LARGE, self.by_chance)


def fit_bins(model: LeadModel, matrix: Matrix, scores: Matrix) -> list[dict[str, Any]]:
    """The bins of all inputs and of the score, as the model carries them: tenths of these rows."""
    bins = [_bins(f, matrix[:, i]) for i, f in enumerate(model.schema.features)]
    return [one.to_dict() for one in (*bins, Bins(SCORE, _edges(scores)))]


def count_all(
    bins: Sequence[Bins], model: LeadModel, matrix: Matrix, scores: Matrix
) -> dict[str, list[int]]:
    """Rows per bin of every input and of the score."""
    place = {name: i for i, name in enumerate(model.schema.names)}
    return {
        one.name: one.count(matrix[:, place[one.name]] if one.name in place else scores).tolist()
        for one in bins
    }


def compare(bins: Bins, then: Sequence[int], now: Sequence[int]) -> Drift:
    """The drift from one count to another."""
    from scipy.stats import chi2

    before, after = np.array(then, dtype=np.float64), np.array(now, dtype=np.float64)
    used = (before + after) > 0
    rows_then, rows_now = float(before.sum()), float(after.sum())
    p = before[used] + _SMOOTHING
    q = after[used] + _SMOOTHING
    p, q = p / p.sum(), q / q.sum()
    psi = float(np.sum((q - p) * np.log(q / p)))
    freedom = max(1, int(used.sum()) - 1)
    size = rows_then * rows_now / max(rows_then + rows_now, 1.0)
    # Without a value: the last bin of numbers, the first code of categories.
    empty = 0 if bins.codes else -1
    return Drift(
        name=bins.name,
        psi=psi,
        by_chance=float(chi2.isf(_CHANCE, freedom)) / max(size, 1.0),
        missing_then=float(before[empty] / max(rows_then, 1.0)),
        missing_now=float(after[empty] / max(rows_now, 1.0)),
        rows=int(rows_now),
        enough=min(rows_then, rows_now) >= LEAST_ROWS,
    )


def _bins(feature: Feature, column: Matrix) -> Bins:
    if feature.kind == "categorical":
        return Bins(feature.name, (), feature.codes)
    if feature.kind == "boolean":
        return Bins(feature.name, (0.5,))
    return Bins(feature.name, _edges(column))


def _edges(column: Matrix) -> tuple[float, ...]:
    known = column[~np.isnan(column)]
    if not len(known):
        return ()
    edges = np.unique(np.quantile(known, np.arange(1, _PARTS) / _PARTS))
    # Of a count that is mostly zero the zeros have a bin of their own.
    return tuple(float(edge) for edge in edges if edge > known.min()) or (
        (float(np.nextafter(known.min(), np.inf)),) if known.max() > known.min() else ()
    )
