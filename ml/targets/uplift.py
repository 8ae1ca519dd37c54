"""The effect of a touch from the warehouse's own holdouts: learnt, stored, and given per lead."""

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from psycopg.rows import dict_row

from leadengine.settings import Settings
from ml.schema import Matrix
from ml.targets.data import read_target
from ml.targets.definitions import BASE_RATE, MODEL, NOT_ENOUGH
from ml.targets.results import TargetResult
from ml.uplift.evidence import AVERAGE, NO_EVIDENCE, TARGETED, counted, learn_uplift
from ml.uplift.registry import load_uplift, register_uplift
from warehouse.database import Database

if TYPE_CHECKING:
    from mlflow import MlflowClient

TARGET = "uplift"
# As ml.target_models has it: of an average effect nobody's own is known.
_STATUS = {NO_EVIDENCE: NOT_ENOUGH, AVERAGE: BASE_RATE, TARGETED: MODEL}

Effects = tuple[Matrix, Matrix, Matrix]


def train_uplift(
    client: "MlflowClient", settings: Settings, database: Database, *, seed: int = 7
) -> TargetResult:
    """Weighs what the holdouts of past batches tell, and registers a model where they tell whom."""
    data = read_target(database, TARGET)
    evidence = counted(data.treated, data.label)
    model = None
    if evidence is None:
        evidence, model = learn_uplift(data.frame, data.treated, data.label, seed=seed)
    name = number = None
    if model is not None:
        name, number = register_uplift(client, settings, model, evidence, data.digest)
    return TargetResult(
        target=TARGET,
        status=_STATUS[evidence.verdict],
        reason=evidence.reason,
        rows=len(data.label),
        outcomes=int(data.label.sum()),
        leads=len(np.unique(data.leads.astype(str))) if len(data.label) else 0,
        base_rate=evidence.share_held_out,
        low=None,
        high=None,
        model_name=name,
        model_version=number,
        figures=evidence.to_dict(),
    )


def uplift_effects(
    database: Database, settings: Settings, features: pd.DataFrame, score: Matrix
) -> tuple[Effects, str, str | None] | None:
    """Added probability per lead with its 90 % interval, the status and the model's version.

    Where only the average effect is known, each lead has its share of it, in proportion to its
    score: the relative effect is then the same for all. None where there is no evidence.

    Args:
        database: the warehouse.
        settings: where MLflow is.
        features: one row per open lead.
        score: probability of conversion per row.
    """
    with database.connect() as connection, connection.cursor(row_factory=dict_row) as cursor:
        cursor.execute(
            "select status, model_version, figures from ml.target_models where target = %s "
            "order by trained_at desc limit 1",
            [TARGET],
        )
        newest = cursor.fetchone()
    if newest is None or newest["status"] == NOT_ENOUGH:
        return None
    if newest["status"] == MODEL:
        model = load_uplift(newest["model_version"], settings, database)
        model.schema.check_columns([*features.columns], "The feature table")
        return model.effects(features), MODEL, newest["model_version"]
    average = newest["figures"]["effect"]
    share = score / max(float(score.mean()), 1e-9)
    value, low, high = (share * float(average[end]) for end in ("value", "low", "high"))
    return (value, low, high), BASE_RATE, None
