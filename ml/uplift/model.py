"""The effect of a touch per lead, in the form in which it is applied and stored."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import lightgbm as lgb
import numpy as np
import pandas as pd
from scipy.stats import norm

from leadengine.errors import LeadEngineError
from ml.schema import Matrix, Schema

MODEL_FILE = "uplift.json"
FORMAT = 1
LEVEL = 0.90


@dataclass(frozen=True)
class EffectLine:
    """From a learner's effects to effects that hold: the best linear predictor.

    ``effect = average + slope * (learnt - centre)``, fitted on rows that the learner had not seen
    (Chernozhukov, Demirer, Duflo & Fernández-Val, 2018). A slope of 1 is a learner that holds, of
    0 one that tells leads apart by noise.

    Attributes:
        centre: mean of the learnt effects.
        average: the average effect.
        slope: of measured on learnt effects.
        average_error, slope_error: standard errors; the two are all but uncorrelated.
    """

    centre: float
    average: float
    slope: float
    average_error: float
    slope_error: float

    def effect(self, learnt: Matrix) -> tuple[Matrix, Matrix, Matrix]:
        """Effect with the ends of its 90 % interval."""
        away = learnt - self.centre
        value = self.average + self.slope * away
        error = np.sqrt(self.average_error**2 + (away * self.slope_error) ** 2)
        reach = float(norm.ppf(0.5 + LEVEL / 2)) * error
        return value, value - reach, value + reach


def fit_line(learnt: Matrix, treated: Matrix, outcome: Matrix) -> EffectLine:
    """Least squares of the outcome on the draw, and on the draw times the learnt effect.

    Args:
        learnt: effects for rows that the learner was not trained on.
        treated: 1 or 0 per row, drawn at random.
        outcome: per row.
    """
    centre = float(learnt.mean())
    drawn = treated - treated.mean()
    away = learnt - centre
    design = np.column_stack([np.ones_like(away), away, drawn, drawn * away])
    inverse = np.linalg.pinv(design.T @ design)
    beta = inverse @ design.T @ outcome
    residual = outcome - design @ beta
    # Errors that hold whatever the variance is (Huber-White).
    meat = design.T @ (design * residual[:, None] ** 2)
    error = np.sqrt(np.diag(inverse @ meat @ inverse))
    return EffectLine(centre, float(beta[2]), float(beta[3]), float(error[2]), float(error[3]))


@dataclass(frozen=True)
class UpliftModel:
    """Which leads gain how much by a touch.

    Attributes:
        schema: the features, in order.
        trees: LightGBM's text; the chosen learner's effects, distilled.
        line: makes them hold.
        training: how it came about.
    """

    schema: Schema
    trees: str = field(repr=False)
    line: EffectLine
    training: dict[str, Any] = field(default_factory=dict)

    def effects(self, frame: pd.DataFrame) -> tuple[Matrix, Matrix, Matrix]:
        """Added probability per row, with the ends of its 90 % interval."""
        booster = lgb.Booster(model_str=self.trees)
        learnt = np.asarray(booster.predict(self.schema.encode(frame)), dtype=np.float64)
        return self.line.effect(learnt)

    def to_dict(self) -> dict[str, Any]:
        """As JSON holds it."""
        return {
            "format": FORMAT,
            "schema": self.schema.to_dict(),
            "trees": self.trees,
            "line": self.line.__dict__,
            "training": self.training,
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "UpliftModel":
        """The reverse of :meth:`to_dict`."""
        return cls(
            Schema.from_dict(data["schema"]),
            data["trees"],
            EffectLine(**data["line"]),
            dict(data["training"]),
        )

    def save(self, folder: Path) -> Path:
        """Writes the model into ``folder``; returns the file."""
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / MODEL_FILE
        path.write_text(json.dumps(self.to_dict(), sort_keys=True, allow_nan=False), "utf-8")
        return path

    @classmethod
    def load(cls, path: Path) -> "UpliftModel":
        """Reads what :meth:`save` wrote.

        Raises:
            LeadEngineError: the file is no such model.
        """
        try:
            data = json.loads(path.read_text("utf-8"))
            if data.get("format") != FORMAT:
                raise ValueError(f"format {data.get('format')!r}, this version reads {FORMAT}")
            return cls.from_dict(data)
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise LeadEngineError(
                f"{path} is not an uplift model: {error}.",
                remedy="Train it again: run the Dagster job `train`.",
            ) from error
