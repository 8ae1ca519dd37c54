"""From log-odds of a model to probabilities that hold.

A calibrator is a monotone map from log-odds to log-odds, fitted on predictions for rows that the
model had not been trained on. It also carries reasons over: contributions to the raw log-odds are
stretched so that they sum to the calibrated ones.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from ml.schema import Matrix

# Log-odds beyond this are not evidence but overflow: 1e-6 and 1 - 1e-6.
LIMIT = 13.8155


def sigmoid(log_odds: Matrix) -> Matrix:
    """Probability of log-odds; exact in both tails."""
    small = np.exp(-np.abs(log_odds))
    return np.where(log_odds >= 0, 1.0, small) / (1.0 + small)


def logit(probability: Matrix) -> Matrix:
    """Log-odds of a probability, within ±LIMIT."""
    clipped = np.clip(probability, 1e-6, 1 - 1e-6)
    return np.clip(np.log(clipped / (1.0 - clipped)), -LIMIT, LIMIT)


@dataclass(frozen=True)
class Calibrator:
    """A line (Platt) or a monotone polyline (isotonic) in log-odds.

    Attributes:
        kind: ``platt`` or ``isotonic``.
        x: Platt: slope and intercept. Isotonic: the polyline's raw log-odds, rising.
        y: isotonic: the calibrated log-odds at ``x``, not falling. Empty for Platt.
    """

    kind: str
    x: tuple[float, ...]
    y: tuple[float, ...] = ()

    def log_odds(self, raw: Matrix) -> Matrix:
        """Calibrated log-odds per row, within ±LIMIT."""
        if self.kind == "platt":
            slope, intercept = self.x
            # What np.clip does, without its own overhead, which counts where there is one row.
            return np.minimum(np.maximum(slope * raw + intercept, -LIMIT), LIMIT)
        return np.asarray(np.interp(raw, *self._polyline), dtype=np.float64)

    def contributions(self, raw: Matrix) -> Matrix:
        """Contributions to the calibrated log-odds from those to the raw ones.

        A row keeps the order and signs of its contributions; the calibrated base plus the
        stretched contributions is the calibrated log-odds, exactly.

        Args:
            raw: one column per feature, the base last; a row sums to its raw log-odds.
        """
        base = raw[:, -1]
        moved = raw[:, :-1].sum(axis=1)
        new_base = self.log_odds(base)
        rise = self.log_odds(base + moved) - new_base
        # Where the features cancel out the polyline's slope is undefined and nothing is moved.
        flat = np.abs(moved) < 1e-12
        stretch = np.where(flat, 0.0, rise / np.where(flat, 1.0, moved))
        out = np.empty_like(raw)
        np.multiply(raw[:, :-1], stretch[:, None], out=out[:, :-1])
        out[:, -1] = new_base
        return out

    @cached_property
    def _polyline(self) -> tuple[Matrix, Matrix]:
        return np.array(self.x), np.array(self.y)

    def to_dict(self) -> dict[str, Any]:
        """As JSON holds it."""
        return {"kind": self.kind, "x": list(self.x), "y": list(self.y)}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "Calibrator":
        """The reverse of :meth:`to_dict`."""
        return cls(data["kind"], tuple(data["x"]), tuple(data["y"]))


def fit_platt(raw: Matrix, label: Matrix) -> Calibrator:
    """A line by maximum likelihood, with Platt's softened targets against few outcomes.

    The slope is never negative: a calibrator may flatten a score, not turn it round.
    """
    positives, negatives = float(label.sum()), float(len(label) - label.sum())
    target = np.where(label > 0.5, (positives + 1) / (positives + 2), 1 / (negatives + 2))
    design = np.column_stack([raw, np.ones_like(raw)])
    weights = np.array([1.0, 0.0])
    for _ in range(50):
        probability = sigmoid(design @ weights)
        variance = np.maximum(probability * (1 - probability), 1e-9)
        hessian = design.T @ (design * variance[:, None]) + 1e-6 * np.eye(2)
        step = np.linalg.solve(hessian, design.T @ (target - probability))
        # Newton may overshoot on separable data; a bounded step still converges.
        weights = weights + np.clip(step, -2.0, 2.0)
        if np.abs(step).max() < 1e-10:
            break
    if weights[0] <= 0:
        share = float(np.clip(target.mean(), 1e-6, 1 - 1e-6))
        return Calibrator("platt", (0.0, float(np.log(share / (1 - share)))))
    return Calibrator("platt", (float(weights[0]), float(weights[1])))


def fit_isotonic(raw: Matrix, label: Matrix) -> Calibrator:
    """Pool-adjacent-violators, then a polyline through the blocks' centres.

    Each block's share is smoothed by half an outcome either way, so that no score is 0 or 1.
    """
    values, place = np.unique(raw, return_inverse=True)
    rows = np.bincount(place)
    outcomes = np.bincount(place, weights=label)
    blocks: list[list[float]] = []  # sum of x, sum of label, rows
    for x, y, n in zip(values.tolist(), outcomes.tolist(), rows.tolist(), strict=True):
        blocks.append([x * n, y, float(n)])
        while len(blocks) > 1 and blocks[-2][1] * blocks[-1][2] >= blocks[-1][1] * blocks[-2][2]:
            last = blocks.pop()
            blocks[-1] = [a + b for a, b in zip(blocks[-1], last, strict=True)]
    centres = [b[0] / b[2] for b in blocks]
    shares = np.maximum.accumulate(np.array([(b[1] + 0.5) / (b[2] + 1.0) for b in blocks]))
    return Calibrator("isotonic", tuple(centres), tuple(float(v) for v in logit(shares)))


def fit_calibrator(raw: Matrix, label: Matrix, seed: int) -> Calibrator:
    """Platt, or isotonic where it is clearly better on rows that it was not fitted on.

    Args:
        raw: log-odds for rows that the model had not been trained on.
        label: 0 or 1 per row.
        seed: of the five parts that the two are compared on.
    """
    if min(label.sum(), len(label) - label.sum()) < 200:
        return fit_platt(raw, label)
    part = np.random.default_rng(seed).integers(0, 5, len(raw))
    loss = {"platt": 0.0, "isotonic": 0.0}
    for k in range(5):
        inside, outside = part != k, part == k
        for kind, fit in (("platt", fit_platt), ("isotonic", fit_isotonic)):
            p = sigmoid(fit(raw[inside], label[inside]).log_odds(raw[outside]))
            y = label[outside]
            loss[kind] -= float(np.sum(y * np.log(p) + (1 - y) * np.log1p(-p))) / len(raw)
    best = fit_isotonic if loss["isotonic"] < loss["platt"] - 5e-4 else fit_platt
    return best(raw, label)
