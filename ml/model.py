"""The model as it is applied and stored: schema, members, calibration, tiers."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from leadengine.errors import LeadEngineError
from ml.calibration import Calibrator, sigmoid
from ml.members import Member, member_from_dict
from ml.schema import Matrix, Schema

MODEL_FILE = "model.json"
FORMAT = 1
TIERS = ("hot", "warm", "cool", "cold")
# A tier is a range of odds relative to the odds of an average lead in training.
_TIER_ODDS = {"hot": 3.0, "warm": 1.25, "cool": 0.4}


def tier_thresholds(base_rate: float) -> dict[str, float]:
    """The least probability of each tier but ``cold``.

    A lead is hot at three times the odds of an average lead or more, warm from 1.25 times, cool
    from 0.4 times, cold below. Odds rather than probabilities, so that the rule also works where
    every second lead converts; fixed at training, so that a lead's tier depends on its own
    score and not on who else is scored.
    """
    odds = base_rate / (1.0 - base_rate)
    return {tier: times * odds / (1.0 + times * odds) for tier, times in _TIER_ODDS.items()}


@dataclass(frozen=True)
class LeadModel:
    """A calibrated model of one outcome.

    Attributes:
        schema: the features, in order.
        members: fitted models, each giving log-odds.
        weights: their weights in the blend of log-odds.
        calibrator: from blended to calibrated log-odds.
        tiers: the least score of ``hot``, ``warm`` and ``cool``.
        training: how it came about (seed, rows, candidates, figures): plain JSON.
    """

    schema: Schema
    members: tuple[Member, ...]
    weights: tuple[float, ...]
    calibrator: Calibrator
    tiers: dict[str, float]
    training: dict[str, Any] = field(default_factory=dict)

    def with_training(self, **facts: Any) -> "LeadModel":
        """The same model with further facts of how it came about."""
        return replace(self, training={**self.training, **facts})

    def raw_log_odds(self, matrix: Matrix) -> Matrix:
        """The blend before calibration."""
        total = np.zeros(len(matrix))
        for weight, member in zip(self.weights, self.members, strict=True):
            total += weight * member.log_odds(matrix)
        return total

    def predict(self, matrix: Matrix) -> Matrix:
        """Calibrated probability per row of :meth:`Schema.encode`."""
        return sigmoid(self.calibrator.log_odds(self.raw_log_odds(matrix)))

    def score(self, frame: pd.DataFrame) -> Matrix:
        """Calibrated probability per row; ``frame`` has every feature."""
        return self.predict(self.schema.encode(frame))

    def raw_contributions(self, matrix: Matrix) -> Matrix:
        """Per feature, base last; a row sums to :meth:`raw_log_odds`."""
        total = np.zeros((len(matrix), len(self.schema.features) + 1))
        for weight, member in zip(self.weights, self.members, strict=True):
            total += weight * member.contributions(matrix)
        return total

    def contributions(self, matrix: Matrix) -> Matrix:
        """Per feature, base last; a row sums to the log-odds of :meth:`predict`."""
        return self.calibrator.contributions(self.raw_contributions(matrix))

    def tier(self, score: float) -> str:
        """The tier of a score."""
        return next((t for t in TIERS[:-1] if score >= self.tiers[t]), TIERS[-1])

    def tiers_of(self, scores: Matrix) -> "np.ndarray[Any, np.dtype[np.str_]]":
        """The :meth:`tier` of each score."""
        names = TIERS[:-1]
        return np.select([scores >= self.tiers[name] for name in names], names, TIERS[-1])

    @cached_property
    def feature_version(self) -> str:
        """Digest of the features' names, kinds and levels, in order."""
        text = json.dumps(self.schema.to_dict()["features"], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def digest(self, row: Matrix) -> str:
        """Digest of one row of the matrix: what the model saw, to the bit.

        SHA-256 over the feature version and the values as little-endian doubles; every missing
        value has the same bytes.
        """
        return self.digests(row[None, :])[0]

    def digests(self, matrix: Matrix) -> list[str]:
        """The :meth:`digest` of each row."""
        values = np.where(np.isnan(matrix), np.nan, matrix).astype("<f8")
        view = memoryview(values.tobytes())
        width = values.shape[1] * values.itemsize
        version = hashlib.sha256(self.feature_version.encode())
        found = []
        for start in range(0, len(view), width):
            one = version.copy()
            one.update(view[start : start + width])
            found.append(one.hexdigest())
        return found

    def to_dict(self) -> dict[str, Any]:
        """As JSON holds it."""
        return {
            "format": FORMAT,
            "schema": self.schema.to_dict(),
            "members": [member.to_dict() for member in self.members],
            "weights": list(self.weights),
            "calibrator": self.calibrator.to_dict(),
            "tiers": self.tiers,
            "training": self.training,
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "LeadModel":
        """The reverse of :meth:`to_dict`."""
        return cls(
            schema=Schema.from_dict(data["schema"]),
            members=tuple(member_from_dict(member) for member in data["members"]),
            weights=tuple(data["weights"]),
            calibrator=Calibrator.from_dict(data["calibrator"]),
            tiers=dict(data["tiers"]),
            training=dict(data["training"]),
        )

    def save(self, folder: Path) -> Path:
        """Writes the model into ``folder``; returns the file."""
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / MODEL_FILE
        path.write_text(json.dumps(self.to_dict(), sort_keys=True, allow_nan=False), "utf-8")
        return path

    @classmethod
    def load(cls, folder: Path) -> "LeadModel":
        """Reads what :meth:`save` wrote.

        Raises:
            LeadEngineError: the folder holds no model, or one of another format.
        """
        path = folder / MODEL_FILE
        try:
            data = json.loads(path.read_text("utf-8"))
            if data.get("format") != FORMAT:
                raise ValueError(f"format {data.get('format')!r}, this version reads {FORMAT}")
            return cls.from_dict(data)
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise LeadEngineError(
                f"{path} is not a lead model: {error}.",
                remedy="Give the model_uri that `leadengine train` printed.",
            ) from error
