"""Training: from a frame of features and a label to a calibrated model.

Candidates (the base rate, logistic regression, LightGBM, scikit-learn's boosting) are compared on
rows that they were not trained on (cross-validation, grouped by lead), blended in log-odds, and
calibrated on those same out-of-fold predictions; then each member is trained again on all rows.
Same data and seed, same model.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
import pandas as pd

from leadengine.errors import LeadEngineError
from ml.calibration import LIMIT, fit_calibrator, logit, sigmoid
from ml.evaluation import log_loss
from ml.members import Linear, Member, Prior, Term, design, design_terms
from ml.model import LeadModel, tier_thresholds
from ml.schema import Matrix, Schema, infer_schema
from ml.search import (
    LARGE,
    Candidate,
    refit_lightgbm,
    refit_sklearn,
    search_lightgbm,
    try_sklearn,
)

Rows = np.ndarray[Any, np.dtype[np.int64]]

LEAST_OUTCOMES = 10
# Ten outcomes of one lead are one: folds that keep a lead together need several with each.
_LEAST_LEADS = 5
# Under this many of the rarer outcome trees are not tried: they would fit noise.
_LEAST_FOR_BOOSTING = 60
# How weakly the linear model is held back: inverse of the penalty on its coefficients.
_STRENGTHS = (0.003, 0.02, 0.15)
# What a further member must lower the out-of-fold loss by to be worth its time in serving.
_LEAST_GAIN = 2e-4


class TooFewOutcomesError(LeadEngineError):
    """There is too little to learn from, or to judge by."""


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
        TooFewOutcomesError: too few rows or leads of either outcome.
    """
    check_outcomes(label, groups)
    schema = options.schema or infer_schema(frame, options.exclude)
    matrix = schema.encode(frame)
    folds = list(_folds(label, groups, options.seed))
    rarer = int(min(label.sum(), len(label) - label.sum()))

    candidates = [_try_linear(schema, matrix, label, folds)]
    if rarer >= _LEAST_FOR_BOOSTING:
        candidates.append(search_lightgbm(schema, matrix, label, folds, options.seed))
        if (found := try_sklearn(schema, matrix, label, folds, options.seed)) is not None:
            candidates.append(found)
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
        members = [_refit(c, schema, matrix, label) for _, c in kept]
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


def check_outcomes(label: Matrix, groups: "np.ndarray[Any, Any]") -> None:
    """Sees that there is something to learn from.

    Args:
        label: 0 or 1 per row.
        groups: the lead per row.

    Raises:
        TooFewOutcomesError: fewer than ``LEAST_OUTCOMES`` rows of either outcome, or nearly all of
            them of the same few leads.
    """
    positives = int(label.sum())
    negatives = len(label) - positives
    if min(positives, negatives) < LEAST_OUTCOMES:
        raise TooFewOutcomesError(
            f"There are {positives} training rows that converted and {negatives} that did not; "
            f"at least {LEAST_OUTCOMES} of each are needed.",
            remedy="Give more rows with known outcomes.",
        )
    names = groups.astype(str)
    leads = min(len(np.unique(names[label > 0.5])), len(np.unique(names[label <= 0.5])))
    if leads < _LEAST_LEADS:
        raise TooFewOutcomesError(
            f"The {positives} training rows that converted and the {negatives} that did not are of "
            f"{leads} leads on the rarer side; at least {_LEAST_LEADS} are needed.",
            remedy="Give more leads with known outcomes.",
        )


def _folds(label: Matrix, groups: "np.ndarray[Any, Any]", seed: int) -> Iterator[tuple[Rows, Rows]]:
    """Training and judging rows per fold, stratified, a lead's rows together."""
    from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

    count = 3 if len(label) >= LARGE else 5
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


def _refit(candidate: Candidate, schema: Schema, matrix: Matrix, label: Matrix) -> Member:
    if candidate.name == "logistic":
        return _fit_linear(schema, matrix, label, candidate.settings["C"])
    if candidate.name == "sklearn":
        return refit_sklearn(candidate, schema, matrix, label)
    return refit_lightgbm(candidate, schema, matrix, label)


def _blend(candidates: Sequence[Candidate], label: Matrix) -> list[float]:
    """Weights in tenths, summing to 1, with the least out-of-fold loss; few members preferred."""
    best, chosen = np.inf, [1.0] + [0.0] * (len(candidates) - 1)
    for tenths in product(range(11), repeat=len(candidates)):
        if sum(tenths) != 10:
            continue
        weights = [tenth / 10 for tenth in tenths]
        raw = sum(
            (w * c.out_of_fold for w, c in zip(weights, candidates, strict=True) if w),
            np.zeros(len(label)),
        )
        loss = log_loss(label, sigmoid(raw)) + _LEAST_GAIN * sum(w > 0 for w in weights)
        if loss < best:
            best, chosen = loss, weights
    return chosen


def _prior(label: Matrix) -> float:
    return float(logit(np.array([label.mean()]))[0])
