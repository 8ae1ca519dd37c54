"""Which score a location gets: rules, the model's held towards its own rate, or the model's.

Measured on the location's own leads that no model was trained on, by log loss per lead. A location
starts with the rules score, at the rate that its own outcomes and all other locations leave likely;
it gets the model's score once that is better there by more than its standard error.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from psycopg import errors, sql
from psycopg.rows import dict_row
from scipy.stats import norm

from leadengine.clock import SystemClock
from leadengine.errors import LeadEngineError
from leadengine.log import get_logger
from leadengine.settings import Settings
from ml.calibration import logit, sigmoid
from ml.champion import load_scorer
from ml.intervals import LEVEL, Precision
from ml.model import LeadModel
from ml.schema import Matrix
from ml.small import (
    Rates,
    lead_weights,
    level_to,
    location_offset,
    location_rates,
    rules_file,
)
from ml.splits import held_out
from ml.training import TABLE
from ml.warehouse_io import read_frame
from warehouse.copy import copy_rows
from warehouse.database import Database

log = get_logger("ml.locations")

_OUTCOMES = Path(__file__).parent / "sql" / "location_outcomes.sql"

RULES, SHRUNK, FULL = "rules", "shrunk", "full"
# Judging on more rows would not change the choice, only take longer.
MAX_ROWS = 40_000
# Fewer outcomes than this among the judging leads cannot favour anything.
LEAST_OUTCOMES = 5
_COLUMNS = (
    "location_id", "as_of", "method", "reason", "leads", "outcomes", "rate", "low", "high",
    "prior_source", "figures",
)  # fmt: skip


@dataclass(frozen=True)
class LocationEvidence:
    """What a location's own outcomes favour.

    Attributes:
        location_id: GoHighLevel location.
        method: ``rules``, ``shrunk`` or ``full``.
        reason: why, in a sentence.
        leads, outcomes: leads whose label windows are over, and how many of them converted.
        rate, low, high: the location's rate of conversion, a lead counting once, with its 90 %
            interval.
        prior_source: where the prior is from.
        figures: log losses, the offset, how precisely scores are judged.
    """

    location_id: str
    method: str
    reason: str
    leads: int
    outcomes: int
    rate: float
    low: float
    high: float
    prior_source: str
    figures: dict[str, Any]


def weigh_locations(database: Database, settings: Settings) -> list[LocationEvidence]:
    """Weighs every location's outcomes and stores the answers in ``ml.location_evidence``.

    Raises:
        LeadEngineError: the warehouse is not built, or MLflow cannot be used.
    """
    champion = load_scorer(settings, database)
    with database.connect() as connection:
        try:
            counts = connection.execute(_OUTCOMES.read_bytes()).fetchall()
            rows = _judging_rows(read_frame(connection, _sample(connection)))
        except errors.UndefinedTable as error:
            raise LeadEngineError(
                f"The warehouse is not built: {error.diag.message_primary}.",
                remedy="Load leads and build the dbt project first: `leadengine run` does both.",
            ) from error
    found = weigh(None if champion.by_rules else champion.model, counts, rows)
    now = SystemClock().now()
    with database.connect() as connection:
        connection.execute("delete from ml.location_evidence")
        copy_rows(
            connection,
            "ml.location_evidence",
            _COLUMNS,
            [
                (
                    one.location_id, now, one.method, one.reason, one.leads, one.outcomes,
                    one.rate, one.low, one.high, one.prior_source, json.dumps(one.figures),
                )
                for one in found
            ],
        )  # fmt: skip
    for one in found:
        log.info("location %s: %s", one.location_id, one.method)
    return found


def weigh(
    model: LeadModel | None, counts: "list[tuple[str, int, float]]", rows: pd.DataFrame
) -> list[LocationEvidence]:
    """The evidence of each location.

    Args:
        model: the champion; None while there is none.
        counts: location, leads with a settled outcome, and of how many of them (a lead's share of
            points that converted); a location without any has 0 and 0.
        rows: training rows of leads that the model was not trained on.
    """
    leads = np.array([float(n) for _, n, _ in counts])
    outcomes = np.array([float(k) for *_, k in counts])
    rates = location_rates(outcomes, leads)
    settled = int((leads > 0).sum())
    source = (
        f"ml/rules_score.yml and the outcomes of {settled} locations: a new one is expected at "
        f"{rates.prior_rate:.3f}, as sure as {rates.prior_strength:.0f} leads"
    )
    precision = None
    if model is None:
        rows = rows.head(0)
    if model is not None and len(rows):
        score = model.score(rows)
        rows = rows.assign(_score=score)
        precision = Precision.measured(score, rows["split_group"].to_numpy())
    found = [
        _location(
            (location, int(n), float(k)), i, rates, source,
            rows[rows["location_id"] == location], precision,
        )
        for i, (location, n, k) in enumerate(counts)
    ]  # fmt: skip
    return found if model else [replace(one, reason="There is no model yet.") for one in found]


def conversion_of(
    evidence: Mapping[str, Any] | None, features: pd.DataFrame, score: Matrix, fallback: Rates
) -> tuple[Matrix, Matrix, Matrix, str]:
    """Probability, low and high of one location's open leads, and the method.

    Args:
        evidence: the location's row of ``ml.location_evidence``; None for one that has none.
        features: its open leads.
        score: their scores by the champion.
        fallback: rate of a location that nothing is known of, as :func:`location_rates` has it.
    """
    if evidence is None or evidence["method"] == RULES:
        points = rules_file().points(features)
        ends = (
            (float(fallback.rate[0]), float(fallback.low[0]), float(fallback.high[0]))
            if evidence is None
            else (evidence["rate"], evidence["low"], evidence["high"])
        )
        value, low, high = (level_to(points, end) for end in ends)
        return value, np.minimum(low, value), np.maximum(high, value), RULES
    figures = evidence["figures"]
    shift = figures["offset"] if evidence["method"] == SHRUNK else 0.0
    place = logit(score) + shift
    value = sigmoid(place)
    rows = Precision.from_dict(figures["precision"]).at(score)
    error = np.sqrt(
        1.0 / np.maximum(rows * value * (1 - value), 1e-9) + figures["offset_error"] ** 2
    )
    reach = float(norm.ppf(0.5 + LEVEL / 2)) * error
    return value, sigmoid(place - reach), sigmoid(place + reach), evidence["method"]


def read_evidence(database: Database) -> dict[str, dict[str, Any]]:
    """``ml.location_evidence`` by location."""
    with database.connect() as connection, connection.cursor(row_factory=dict_row) as cursor:
        cursor.execute("select * from ml.location_evidence")
        return {row["location_id"]: row for row in cursor.fetchall()}


def _location(
    counted: tuple[str, int, float],
    place: int,
    rates: Rates,
    source: str,
    rows: pd.DataFrame,
    precision: Precision | None,
) -> LocationEvidence:
    location, leads, outcomes = counted
    figures: dict[str, Any] = {"judging_rows": len(rows)}
    method, reason = RULES, "No lead of this location has an outcome yet to judge a model by."
    if len(rows) and precision is not None:
        figures |= _losses(rows) | {"precision": precision.to_dict()}
        method, reason = _chosen(figures)
    return LocationEvidence(
        location, method, reason, leads, round(outcomes),
        float(rates.rate[place]), float(rates.low[place]), float(rates.high[place]),
        source, figures,
    )  # fmt: skip


def _losses(rows: pd.DataFrame) -> dict[str, Any]:
    """Log loss of the three scores on the judging rows, summed up by lead."""
    label = rows["label"].to_numpy(dtype=np.float64)
    score = rows["_score"].to_numpy(dtype=np.float64)
    leads = rows["split_group"].to_numpy(dtype=object)
    weight = lead_weights(leads)
    prior = rules_file().prior
    sd, points = prior.offset_sd, rules_file().points(rows)
    half = held_out(leads, 0.125)
    shrunk, ruled = np.empty(len(rows)), np.empty(len(rows))
    for part in (half, ~half):
        if not part.any():
            continue
        # Each half is scored with the offset and the level that the other half shows.
        shown = location_offset(score[~part], label[~part], sd, weight[~part])
        shrunk[part] = sigmoid(logit(score[part]) + shown.value)
        seen = float(label[~part].sum()) + prior.rate * prior.strength
        ruled[part] = level_to(points[part], seen / (int((~part).sum()) + prior.strength))
    offset = location_offset(score, label, sd, weight)
    scores = {
        RULES: ruled,
        SHRUNK: shrunk,
        FULL: score,
    }
    loss = {name: -_log_likelihood(label, p) for name, p in scores.items()}
    _, lead = np.unique(leads.astype(str), return_inverse=True)
    by_lead = {name: np.bincount(lead, weights=each) for name, each in loss.items()}

    def gain(name: str, over: str) -> list[float]:
        difference = by_lead[over] - by_lead[name]
        error = float(difference.std(ddof=1) / len(difference) ** 0.5) if len(difference) > 1 else 9
        return [float(difference.mean()), error]

    return {
        "judging_leads": len(by_lead[FULL]),
        "judging_outcomes": int(label.sum()),
        "log_loss": {name: float(each.mean()) for name, each in by_lead.items()},
        "full_over_rules": gain(FULL, RULES),
        "shrunk_over_rules": gain(SHRUNK, RULES),
        "shrunk_over_full": gain(SHRUNK, FULL),
        "offset": offset.value,
        "offset_error": offset.error,
    }


def _chosen(figures: Mapping[str, Any]) -> tuple[str, str]:
    judged = f"{figures['judging_outcomes']} outcomes of {figures['judging_leads']} judging leads"
    if figures["judging_outcomes"] < LEAST_OUTCOMES:
        return RULES, f"Only {judged}: too few to favour a model."
    gain, error = figures["shrunk_over_full"]
    best = SHRUNK if gain > error else FULL
    gain, error = figures[f"{best}_over_rules"]
    shown = f"log loss per lead {gain:+.4f} (standard error {error:.4f}) on {judged}"
    if gain > error:
        return best, f"The {best} score is better than the rules by {shown}."
    return RULES, f"The model's score is not surely better than the rules: {shown}."


def _log_likelihood(label: Matrix, score: Matrix) -> Matrix:
    p = np.clip(score, 1e-6, 1 - 1e-6)
    return np.asarray(label * np.log(p) + (1 - label) * np.log1p(-p), dtype=np.float64)


def _sample(connection: Any) -> sql.Composable:
    found = connection.execute("select count(*) from marts.lead_training_set").fetchone()
    # A quarter of the leads is held out.
    keep = min(1.0, 4 * MAX_ROWS / max(1, int(found[0])))
    return sql.SQL(
        "select * from {} where mod(abs(hashtextextended(split_group, 1)), 1000000) < {} "
        "order by lead_id, as_of"
    ).format(sql.Identifier(*TABLE.split(".")), sql.Literal(int(keep * 1_000_000)))


def _judging_rows(frame: pd.DataFrame) -> pd.DataFrame:
    if frame.empty:
        return frame
    kept = held_out(frame["split_group"].to_numpy(dtype=object))
    return frame[kept].reset_index(drop=True)
