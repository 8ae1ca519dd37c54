"""What every open lead is likely to do, stored with how sure that is."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from itertools import chain
from typing import Any

import numpy as np
import pandas as pd
from psycopg import errors, sql
from psycopg.rows import dict_row

from leadengine.clock import SystemClock
from leadengine.errors import LeadEngineError
from leadengine.log import get_logger
from leadengine.settings import Settings
from ml import registry
from ml.intervals import Precision
from ml.locations import conversion_of, read_evidence
from ml.model import LeadModel
from ml.schema import Matrix
from ml.small import location_rates
from ml.survival import PERIOD, conversion_times
from ml.targets.definitions import MODEL, TARGETS, Target
from ml.targets.uplift import TARGET, uplift_effects
from ml.uplift.registry import REGISTERED_MODEL
from ml.warehouse_io import read_frames
from warehouse.copy import copy_rows
from warehouse.database import Database

log = get_logger("ml.targets")

FEATURES = "marts.lead_features"
CONVERSION = "conversion"
_CHUNK_ROWS = 100_000
_COLUMNS = (
    "lead_id", "target", "location_id", "as_of", "probability", "low", "high", "evidence",
    "median_days", "model_name", "model_version", "predicted_at",
)  # fmt: skip
# Any number, the same in every process: one run of predictions at a time.
_LOCK = 7_301_204_418

Row = tuple[Any, ...]


@dataclass(frozen=True)
class PredictionResult:
    """What a run of predictions stored.

    Attributes:
        rows: predictions by name.
        as_of: the moment of the features; None without a lead.
    """

    rows: dict[str, int]
    as_of: datetime | None


@dataclass(frozen=True)
class Answer:
    """The newest training of a target, with its model where it has one."""

    target: Target
    status: str
    base_rate: float | None
    low: float | None
    high: float | None
    model_name: str | None
    model_version: str | None
    model: LeadModel | None


def predict_open_leads(database: Database, settings: Settings) -> PredictionResult:
    """Predicts every target for the open leads it applies to, in place of the last predictions.

    A target without a model has its base rate and the answer that there is not enough evidence; a
    target that was never trained has no rows.

    Raises:
        LeadEngineError: there is no feature table, or it lacks a feature.
    """
    answers = load_answers(database, settings)
    evidence = read_evidence(database)
    now = SystemClock().now()
    counted: dict[str, int] = {}
    moments: set[datetime] = set()
    with database.connect() as connection:
        connection.execute("select pg_advisory_xact_lock(%s)", [_LOCK])
        query = sql.SQL("select * from {}").format(sql.Identifier(*FEATURES.split(".")))
        try:
            frames = list(read_frames(connection, query, _CHUNK_ROWS))
        except errors.UndefinedTable as error:
            raise LeadEngineError(
                f"{FEATURES} is not there.",
                remedy="Load leads and build the dbt project first: `leadengine run` does both.",
            ) from error
        scores = dict(
            connection.execute("select lead_id, score from ml.current_lead_scores").fetchall()
        )
        connection.execute("delete from ml.lead_predictions")

        def rows() -> Iterator[Row]:
            for frame in frames:
                moments.update(pd.Timestamp(m).to_pydatetime() for m in frame["as_of"].unique())
                for row in chain(
                    *(_predictions(answer, frame, now) for answer in answers),
                    _conversions(evidence, frame, scores, now),
                    _effects(database, settings, frame, scores, now),
                ):
                    counted[row[1]] = counted.get(row[1], 0) + 1
                    yield row

        copy_rows(connection, "ml.lead_predictions", _COLUMNS, rows())
    log.info("predictions stored: %s", counted)
    return PredictionResult(counted, max(moments) if moments else None)


def load_answers(database: Database, settings: Settings) -> tuple[Answer, ...]:
    """The newest answer of each target, with its model from the registry."""
    with database.connect() as connection, connection.cursor(row_factory=dict_row) as cursor:
        cursor.execute(
            "select distinct on (target) target, status, base_rate, low, high, model_name,"
            " model_version from ml.target_models order by target, trained_at desc"
        )
        newest = {row["target"]: row for row in cursor.fetchall()}
    answers = []
    for target in TARGETS:
        row = newest.get(target.name)
        if row is None:
            continue
        model = None
        if row["status"] == MODEL:
            uri = f"models:/{row['model_name']}/{row['model_version']}"
            model = registry.load_model(uri, settings, database)
        facts = {name: value for name, value in row.items() if name != "target"}
        answers.append(Answer(target=target, model=model, **facts))
    return tuple(answers)


def _predictions(answer: Answer, frame: pd.DataFrame, now: datetime) -> Iterator[Row]:
    features = frame[answer.target.applies(frame)]
    if features.empty:
        return
    nothing = np.full(len(features), np.nan)
    for name, probability, low, high, median in _figures(answer, features, nothing):
        columns = zip(
            features["lead_id"], features["location_id"], features["as_of"], probability, low,
            high, median, strict=True,
        )  # fmt: skip
        for lead, location, as_of, p, lower, upper, days in columns:
            yield (
                lead, name, location, as_of.to_pydatetime(), _number(p), _number(lower),
                _number(upper), answer.status, _number(days), answer.model_name,
                answer.model_version, now,
            )  # fmt: skip


def _figures(
    answer: Answer, features: pd.DataFrame, nothing: Matrix
) -> Iterator[tuple[str, Matrix, Matrix, Matrix, Matrix]]:
    """Name, probability, low, high and median days of each prediction that an answer gives."""
    target, model = answer.target, answer.model
    if model is None:
        share, low, high = (
            nothing if value is None else np.full(len(features), value)
            for value in (answer.base_rate, answer.low, answer.high)
        )
        yield target.name, share, low, high, nothing
        return
    model.schema.check_columns(
        [*features.columns, *((PERIOD,) if target.survival else ())], FEATURES
    )
    precision = {
        name: Precision.from_dict(kept) for name, kept in model.training["precision"].items()
    }
    if not target.survival:
        score = model.score(features)
        yield target.name, score, *precision[target.name].interval(score), nothing
        return
    times = conversion_times(model, features)
    for horizon, score in times.within.items():
        name = f"convert_{horizon}d"
        if name in precision:
            yield name, score, *precision[name].interval(score), times.median_days


def _conversions(
    evidence: Mapping[str, Mapping[str, Any]],
    frame: pd.DataFrame,
    scores: dict[str, float],
    now: datetime,
) -> Iterator[Row]:
    """The chance of converting by what each location's own outcomes favour."""
    scored = frame[frame["lead_id"].isin(scores.keys())]
    unknown = location_rates(np.zeros(1), np.zeros(1))
    for location, features in scored.groupby("location_id", sort=True):
        score = np.array([scores[lead] for lead in features["lead_id"]], dtype=np.float64)
        *figures, method = conversion_of(evidence.get(str(location)), features, score, unknown)
        columns = zip(features["lead_id"], features["as_of"], *figures, strict=True)
        for lead, as_of, value, low, high in columns:
            yield (
                lead, CONVERSION, location, as_of.to_pydatetime(), float(value), float(low),
                float(high), method, None, None, None, now,
            )  # fmt: skip


def _effects(
    database: Database,
    settings: Settings,
    frame: pd.DataFrame,
    scores: dict[str, float],
    now: datetime,
) -> Iterator[Row]:
    """The effect of a touch on each scored lead, where holdouts tell of one."""
    features = frame[frame["lead_id"].isin(scores.keys())]
    if features.empty:
        return
    score = np.array([scores[lead] for lead in features["lead_id"]], dtype=np.float64)
    found = uplift_effects(database, settings, features, score)
    if found is None:
        return
    effects, status, version = found
    columns = zip(
        features["lead_id"], features["location_id"], features["as_of"], *effects, strict=True
    )
    name = None if version is None else REGISTERED_MODEL
    for lead, location, as_of, value, low, high in columns:
        yield (
            lead, TARGET, location, as_of.to_pydatetime(), float(value), float(low),
            float(high), status, None, name, version, now,
        )  # fmt: skip


def _number(value: float) -> float | None:
    return None if np.isnan(value) else float(value)
