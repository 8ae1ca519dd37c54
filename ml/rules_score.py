"""The rules score: what leads are scored by while there is no champion.

It is a :class:`LeadModel` like any other, whose one member holds the points of ``rules_score.yml``.
So it gives tiers and exact reasons, and goes through batch, online path and replay as they are. Its
level is the rate that the outcomes so far and the documented prior leave likely. Versions are named
by a digest of what they are, and kept in ``ml.rules_models``.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
from psycopg import errors, sql

from leadengine.clock import SystemClock
from leadengine.errors import LeadEngineError
from leadengine.log import get_logger
from ml.calibration import Calibrator
from ml.drift import fit_bins
from ml.members import Points, Rules
from ml.model import LeadModel, tier_thresholds
from ml.schema import Feature, Matrix, Schema, encode_column
from ml.small import RuleScore, RulesFile, level_shift, location_rates, rules_file
from ml.statements import statement
from ml.warehouse_io import column_types, read_frame
from warehouse.database import Database

log = get_logger("ml.rules_score")

NAME = "rules_score"
FEATURES = "marts.lead_features"
_PREFIX = "rules-"
# A level that moved by less (in log-odds) is no reason for another version.
_MOVED = 0.1


@dataclass(frozen=True)
class RulesScore:
    """A version of the rules score.

    Attributes:
        model: in the form in which every score is given.
        version: ``rules-`` and a digest of the model.
        reason: why no model scores instead.
    """

    model: LeadModel = field(repr=False)
    version: str
    reason: str

    @property
    def is_current(self) -> bool:
        """Whether its rules are those that the file has now."""
        return bool(self.model.training["rules"] == _rules_digest(rules_file()))


def is_rules(version: str) -> bool:
    """Whether a model version is one of the rules score."""
    return version.startswith(_PREFIX)


def rules_model(features: pd.DataFrame, rate: float, rules: RulesFile | None = None) -> LeadModel:
    """The rules as a model.

    Args:
        features: open leads; their mean score will be ``rate``. A rule on a feature that they lack
            is left out.
        rate: expected share of leads that convert.
        rules: of ``rules_score.yml`` by default.
    """
    rules = rules or rules_file()
    used = [rule for rule in rules.rules if rule.feature in features.columns]
    schema = Schema(_features(used))
    place = {name: i for i, name in enumerate(schema.names)}
    points = tuple(_points(rule, place[rule.feature], schema) for rule in used)
    matrix = schema.encode(features)
    plain = Rules(points, 0.0, (0.0,) * len(schema.features))
    centres: Matrix = np.zeros(len(schema.features))
    if len(matrix):
        centres = plain.contributions(matrix)[:, :-1].mean(axis=0).round(6)
    centred = replace(plain, centres=tuple(centres.tolist()))
    shift = level_shift(centred.log_odds(matrix) if len(matrix) else np.zeros(1), rate)
    model = LeadModel(
        schema=schema,
        members=(replace(centred, base=round(shift, 6)),),
        weights=(1.0,),
        calibrator=Calibrator("platt", (1.0, 0.0)),
        tiers=tier_thresholds(rate),
    )
    return model.with_training(
        rules=_rules_digest(rules),
        base_rate=rate,
        bins=fit_bins(model, matrix, model.predict(matrix)),
    )


def renew_rules_score(database: Database, reason: str) -> RulesScore:
    """Makes the rules score that fits the outcomes so far, and stores it as the one to use.

    The version in use is kept while the rules are the same and the level has hardly moved.

    Args:
        database: the warehouse.
        reason: why no model scores.

    Raises:
        LeadEngineError: the warehouse is not built.
    """
    frame, rate = _open_leads(database)
    model = rules_model(frame, rate)
    before = newest_rules_score(database)
    if before is not None and _alike(before.model, model):
        model = before.model
    text = json.dumps(model.to_dict(), sort_keys=True, allow_nan=False)
    version = _PREFIX + hashlib.sha256(text.encode()).hexdigest()[:12]
    with database.connect() as connection:
        connection.execute(
            statement("store_rules_model.sql"),
            {"version": version, "now": SystemClock().now(), "reason": reason, "model": text},
        )
    log.info("leads are scored by the rules (%s): %s", version, reason)
    return RulesScore(model, version, reason)


def newest_rules_score(database: Database) -> RulesScore | None:
    """The version in use; None before there was one."""
    with database.connect() as connection:
        row = connection.execute(
            "select version, reason, model from ml.rules_models order by made_at desc limit 1"
        ).fetchone()
    return None if row is None else RulesScore(_model(row[2]), row[0], row[1])


def rules_version(database: Database, version: str) -> LeadModel:
    """A version by its name.

    Raises:
        LeadEngineError: there is no such version.
    """
    with database.connect() as connection:
        row = connection.execute(
            "select model from ml.rules_models where version = %s", [version]
        ).fetchone()
    if row is None:
        raise LeadEngineError(
            f"There is no version {version!r} of the rules score.",
            remedy="Restore ml.rules_models from a backup.",
        )
    return _model(row[0])


@cache
def _model(text: str) -> LeadModel:
    return LeadModel.from_dict(json.loads(text))


def _features(rules: Sequence[RuleScore]) -> tuple[Feature, ...]:
    """The features that rules look at: categories where any compares with values."""
    levels: dict[str, dict[str, None]] = {}
    for rule in rules:
        levels.setdefault(rule.feature, {}).update(dict.fromkeys(rule.values))
    return tuple(
        Feature(name, "categorical", tuple(values)) if values else Feature(name, "numeric")
        for name, values in levels.items()
    )


def _points(rule: RuleScore, place: int, schema: Schema) -> Points:
    feature = schema.features[place]
    if feature.kind != "categorical":
        return Points(place, rule.points, rule.least, rule.most, missing=rule.missing)
    values: list[Any] = [None] if rule.missing else list(rule.values)
    codes = encode_column(feature, pd.Series(values, dtype=object))
    return Points(place, rule.points, codes=tuple(int(code) for code in codes))


def _rules_digest(rules: RulesFile) -> str:
    return hashlib.sha256(repr(rules.rules).encode()).hexdigest()[:12]


def _alike(before: LeadModel, now: LeadModel) -> bool:
    (one,), (other,) = before.members, now.members
    return (
        isinstance(one, Rules)
        and isinstance(other, Rules)
        and before.training["rules"] == now.training["rules"]
        and (before.schema.features, one.rules) == (now.schema.features, other.rules)
        and abs(one.base - other.base) < _MOVED
    )


def _open_leads(database: Database) -> tuple[pd.DataFrame, float]:
    """What the rules look at, of every open lead, and the share of them that may convert.

    The share is the mean of their locations' rates, each held towards the others' and the prior.
    """
    relation = sql.Identifier(*FEATURES.split("."))
    with database.connect() as connection:
        try:
            counts = connection.execute(statement("location_outcomes.sql")).fetchall()
            types = column_types(connection, sql.SQL("select * from {}").format(relation))
            wanted = dict.fromkeys(r.feature for r in rules_file().rules if r.feature in types)
            columns = sql.SQL(", ").join(map(sql.Identifier, ["location_id", *wanted]))
            frame = read_frame(connection, sql.SQL("select {} from {}").format(columns, relation))
        except errors.UndefinedTable as error:
            raise LeadEngineError(
                f"The warehouse is not built: {error.diag.message_primary}.",
                remedy="Load leads and build the dbt project first: `leadengine run` does both.",
            ) from error
    leads: Matrix = np.array([float(n) for _, n, _ in counts])
    outcomes: Matrix = np.array([float(k) for *_, k in counts])
    rates = location_rates(outcomes, leads)
    by_location = dict(zip((name for name, *_ in counts), rates.rate.tolist(), strict=True))
    expected = frame["location_id"].map(by_location).astype("float64").mean()
    return frame, rates.prior_rate if np.isnan(expected) else float(expected)
