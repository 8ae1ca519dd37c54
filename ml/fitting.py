"""Training: from a frame of features and a label to a calibrated model.

Candidates are compared on rows that they were not trained on (cross-validation, grouped by
lead), blended in log-odds, and calibrated on those same out-of-fold predictions; then each member
is trained again on all rows. Same data and seed, same model.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import lightgbm as lgb
import numpy as np
import pandas as pd

from leadengine.errors import LeadEngineError
from ml.calibration import LIMIT, fit_calibrator, logit, sigmoid
from ml.evaluation import log_loss
from ml.members import Boosting, Linear, Member, Prior, Term, design, design_terms
from ml.model import LeadModel, tier_thresholds
from ml.schema import Matrix, Schema, infer_schema

Rows = np.ndarray[Any, np.dtype[np.int64]]

LEAST_OUTCOMES = 10
# Under this many of the rarer outcome trees are not tried: they would fit noise.
_LEAST_FOR_BOOSTING = 60
_LARGE = 20_000
_HUGE = 100_000
_MAX_ROUNDS = 600
# How weakly the linear model is held back: inverse of the penalty on its coefficients.
_STRENGTHS = (0.003, 0.02, 0.15)
_PATIENCE = 40
_BOOSTING = {
    "objective": "binary",
    "learning_rate": 0.03,
    "num_leaves": 15,
    "min_data_in_leaf": 20,
    "feature_fraction": 0.5,
    "bagging_fraction": 0.8,
    "bagging_freq": 1,
    "lambda_l2": 5.0,
    "cat_smooth": 20.0,
    "cat_l2": 20.0,
    "max_cat_to_onehot": 8,
    "deterministic": True,
    "force_row_wise": True,
    # On lead tables a second thread hardly helps an idle machine and slows a busy one down.
    "num_threads": 1,
    "verbosity": -1,
}


@dataclass(frozen=True)
class FitOptions:
    """How to train.

    Attributes:
        seed: of folds, bagging and feature sampling.
        exclude: columns of the frame that are no features.
        schema: the columns' kinds where they are known; inferred from the rows otherwise.
    """

    seed: int = 7
    exclude: tuple[str, ...] = ()
    schema: Schema | None = None


@dataclass(frozen=True)
class Candidate:
    """One member and how it fared: ``out_of_fold`` log-odds for each training row."""

    name: str
    out_of_fold: Matrix = field(repr=False)
    settings: dict[str, Any]
    loss: float


def fit(
    frame: pd.DataFrame,
    label: Matrix,
    groups: "np.ndarray[Any, Any]",
    options: FitOptions,
) -> LeadModel:
    """Trains on all rows given.

    Args:
        frame: one row per training example.
        label: 0 or 1 per row.
        groups: the lead per row; a lead's rows stay in one fold.
        options: seed, excluded columns, known schema.

    Raises:
        LeadEngineError: too few rows of either outcome.
    """
    check_outcomes(label)
    schema = options.schema or infer_schema(frame, options.exclude)
    matrix = schema.encode(frame)
    folds = list(_folds(label, groups, options.seed))
    rarer = int(min(label.sum(), len(label) - label.sum()))

    candidates = [_try_linear(schema, matrix, label, folds)]
    if rarer >= _LEAST_FOR_BOOSTING:
        candidates.append(_try_boosting(schema, matrix, label, folds, options.seed))
    prior = _prior(label)
    prior_loss = log_loss(label, sigmoid(np.full(len(label), prior)))

    blend = list(zip(_blend(candidates, label), candidates, strict=True))
    raw = sum((w * c.out_of_fold for w, c in blend), np.zeros(1))
    members: list[Member]
    weights: list[float]
    if log_loss(label, sigmoid(raw)) >= prior_loss:
        # Nothing beats the base rate, so the honest score is the base rate.
        members, weights = [Prior(prior, len(schema.features))], [1.0]
        raw = np.full(len(label), prior)
    else:
        kept = [(w, c) for w, c in blend if w > 0]
        weights = [w for w, _ in kept]
        members = [_refit(c, schema, matrix, label, options.seed) for _, c in kept]
    return LeadModel(
        schema=schema,
        members=tuple(members),
        weights=tuple(weights),
        calibrator=fit_calibrator(raw, label, options.seed),
        tiers=tier_thresholds(float(label.mean())),
        training={
            "seed": options.seed,
            "rows": len(label),
            "base_rate": float(label.mean()),
            "folds": len(folds),
            "prior_log_loss": prior_loss,
            "candidates": {
                c.name: {"cv_log_loss": c.loss, "weight": w, **c.settings} for w, c in blend
            },
        },
    )


def check_outcomes(label: Matrix) -> None:
    """Sees that there is something to learn from.

    Raises:
        LeadEngineError: fewer than ``LEAST_OUTCOMES`` rows of either outcome.
    """
    positives = int(label.sum())
    negatives = len(label) - positives
    if min(positives, negatives) < LEAST_OUTCOMES:
        raise LeadEngineError(
            f"There are {positives} training rows that converted and {negatives} that did not; "
            f"at least {LEAST_OUTCOMES} of each are needed.",
            remedy="Give more rows with known outcomes.",
        )


def _folds(label: Matrix, groups: "np.ndarray[Any, Any]", seed: int) -> Iterator[tuple[Rows, Rows]]:
    """Training and judging rows per fold, stratified, a lead's rows together."""
    from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

    count = 3 if len(label) >= _LARGE else 5
    target = label.astype(np.int64)
    _, place = np.unique(groups, return_inverse=True)
    if place.max() + 1 == len(label):
        splitter = StratifiedKFold(count, shuffle=True, random_state=seed)
        yield from splitter.split(target, target)
    else:
        splitter = StratifiedGroupKFold(count, shuffle=True, random_state=seed)
        yield from splitter.split(target, target, place)


def _try_linear(
    schema: Schema, matrix: Matrix, label: Matrix, folds: Sequence[tuple[Rows, Rows]]
) -> Candidate:
    outs = {strength: np.empty(len(label)) for strength in _STRENGTHS}
    for train, test in folds:
        terms = design_terms(schema, matrix[train])
        columns = design(terms, matrix[train])
        for strength, out in outs.items():
            member = _fit_terms(schema, terms, columns, label[train], strength)
            out[test] = member.log_odds(matrix[test])
    clipped = {strength: np.clip(out, -LIMIT, LIMIT) for strength, out in outs.items()}
    losses = {strength: log_loss(label, sigmoid(out)) for strength, out in clipped.items()}
    best = min(losses, key=lambda strength: losses[strength])
    return Candidate("logistic", clipped[best], {"C": best}, losses[best])


def _fit_linear(schema: Schema, matrix: Matrix, label: Matrix, strength: float) -> Linear:
    terms = design_terms(schema, matrix)
    return _fit_terms(schema, terms, design(terms, matrix), label, strength)


def _fit_terms(
    schema: Schema, terms: tuple[Term, ...], columns: Matrix, label: Matrix, strength: float
) -> Linear:
    from sklearn.linear_model import LogisticRegression
    from threadpoolctl import threadpool_limits

    if not terms:
        return Linear((), (), _prior(label), len(schema.features))
    model = LogisticRegression(C=strength, max_iter=500, tol=1e-5)
    # Matrices this small gain nothing from more threads, which only get in each other's way.
    with threadpool_limits(1, user_api="blas"):
        model.fit(columns, label.astype(np.int64))
    coefficients = tuple(float(c) for c in model.coef_[0])
    return Linear(terms, coefficients, float(model.intercept_[0]), len(schema.features))


def _try_boosting(
    schema: Schema,
    matrix: Matrix,
    label: Matrix,
    folds: Sequence[tuple[Rows, Rows]],
    seed: int,
) -> Candidate:
    settings = _boosting_settings(len(label), seed)
    boosters, rounds = [], []
    for train, test in folds:
        booster = lgb.train(
            settings,
            _dataset(schema, matrix[train], label[train]),
            _MAX_ROUNDS,
            valid_sets=[_dataset(schema, matrix[test], label[test])],
            callbacks=[lgb.early_stopping(_PATIENCE, verbose=False)],
        )
        boosters.append(booster)
        rounds.append(max(1, booster.best_iteration))
    # One number of rounds for all folds, so that no fold's score is picked by its own outcomes.
    count = int(np.median(rounds))
    out = np.empty(len(label))
    for booster, (_, test) in zip(boosters, folds, strict=True):
        out[test] = booster.predict(matrix[test], raw_score=True, num_iteration=count)
    out = np.clip(out, -LIMIT, LIMIT)
    return Candidate("boosting", out, {"rounds": count, **settings}, log_loss(label, sigmoid(out)))


def _boosting_settings(rows: int, seed: int) -> dict[str, Any]:
    settings: dict[str, Any] = {**_BOOSTING, "seed": seed}
    if rows >= _LARGE:
        settings |= {"num_leaves": 31, "learning_rate": 0.06, "min_data_in_leaf": 50}
    if rows >= _HUGE:
        settings["num_threads"] = 2
    return settings


def _dataset(schema: Schema, matrix: Matrix, label: Matrix) -> lgb.Dataset:
    return lgb.Dataset(
        matrix,
        label,
        categorical_feature=schema.categorical,
        params={"verbosity": -1, "max_cat_to_onehot": _BOOSTING["max_cat_to_onehot"]},
        free_raw_data=True,
    )


def _refit(
    candidate: Candidate, schema: Schema, matrix: Matrix, label: Matrix, seed: int
) -> Member:
    if candidate.name == "logistic":
        return _fit_linear(schema, matrix, label, candidate.settings["C"])
    booster = lgb.train(
        _boosting_settings(len(label), seed),
        _dataset(schema, matrix, label),
        candidate.settings["rounds"],
    )
    # Through text and back: the model in hand is then the model that is stored.
    return Boosting(lgb.Booster(model_str=booster.model_to_string()))


def _blend(candidates: Sequence[Candidate], label: Matrix) -> list[float]:
    """Weights, summing to 1, with the least out-of-fold loss; at most two candidates."""
    if len(candidates) == 1:
        return [1.0]
    first, second = (c.out_of_fold for c in candidates)
    shares = [i / 10 for i in range(11)]
    losses = [log_loss(label, sigmoid(w * first + (1 - w) * second)) for w in shares]
    best = shares[int(np.argmin(losses))]
    return [best, 1.0 - best]


def _prior(label: Matrix) -> float:
    return float(logit(np.array([label.mean()]))[0])
