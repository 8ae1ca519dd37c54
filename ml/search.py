"""The boosting candidates, and the bounded search for their settings.

The search is Optuna's TPE with a fixed seed, bounded by trials and never by the clock, so that the
same data and seed give the same model on any machine. It starts from settings known to be good;
trials that fall behind after two folds are given up, and each fold stops growing trees when they no
longer help.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import lightgbm as lgb
import numpy as np

from ml.calibration import LIMIT, sigmoid
from ml.evaluation import log_loss
from ml.members import Boosting
from ml.schema import Matrix, Schema
from ml.sklearn_trees import as_booster

Rows = np.ndarray[Any, np.dtype[np.int64]]
Fold = tuple[Rows, Rows]

LARGE = 20_000
HUGE = 100_000
# Cells of the matrix that one trial of the search may cost, and the most trials.
CELLS = 600_000
MOST_TRIALS = 8
# Under this many of the rarer outcome the folds cannot tell settings or libraries apart.
_LEAST_TO_SEARCH = 300
# scikit-learn's boosting is as good and several times slower: left out above this many cells.
SKLEARN_CELLS = 400_000
_MAX_ROUNDS = 600
_PATIENCE = 40
_FIXED = {
    "objective": "binary",
    "bagging_fraction": 0.8,
    "bagging_freq": 1,
    "cat_smooth": 20.0,
    "cat_l2": 20.0,
    # One level at a time: sets of levels are what small tables overfit by.
    "max_cat_to_onehot": 64,
    "deterministic": True,
    "force_row_wise": True,
    # On lead tables a second thread hardly helps an idle machine and slows a busy one down.
    "num_threads": 1,
    "verbosity": -1,
}
_STARTS: tuple[dict[str, Any], ...] = (
    {"num_leaves": 7, "feature_fraction": 0.4, "min_data_in_leaf": 20, "lambda_l2": 5.0},
    {"num_leaves": 15, "feature_fraction": 0.5, "min_data_in_leaf": 20, "lambda_l2": 5.0},
)
_SKLEARN = {
    "learning_rate": 0.05,
    "max_leaf_nodes": 7,
    "max_features": 0.4,
    "min_samples_leaf": 20,
    "early_stopping": False,
}
_SKLEARN_ROUNDS = 400
_SKLEARN_STEP = 20


@dataclass(frozen=True)
class Candidate:
    """One member and how it fared: ``out_of_fold`` log-odds for each training row."""

    name: str
    out_of_fold: Matrix = field(repr=False)
    settings: dict[str, Any]
    loss: float


def search_lightgbm(
    schema: Schema, matrix: Matrix, label: Matrix, folds: Sequence[Fold], seed: int
) -> Candidate:
    """The best of a bounded number of LightGBM's settings."""
    import optuna

    trials = _trials(matrix, label)
    logging.getLogger("optuna").setLevel(logging.WARNING)
    found: dict[int, Candidate] = {}
    study = optuna.create_study(
        sampler=optuna.samplers.TPESampler(seed=seed, n_startup_trials=4),
        pruner=optuna.pruners.PercentilePruner(50.0, n_startup_trials=2, n_warmup_steps=1),
    )
    for start in _STARTS[:trials]:
        study.enqueue_trial(start)

    def objective(trial: "optuna.Trial") -> float:
        chosen = {
            "num_leaves": trial.suggest_int("num_leaves", 4, 31, log=True),
            "feature_fraction": trial.suggest_float("feature_fraction", 0.2, 0.8),
            "min_data_in_leaf": trial.suggest_int("min_data_in_leaf", 5, 80, log=True),
            "lambda_l2": trial.suggest_float("lambda_l2", 0.5, 30.0, log=True),
        }
        settings = _settings(len(label), seed) | chosen
        found[trial.number] = _cross_validate(schema, matrix, label, folds, settings, trial)
        return found[trial.number].loss

    study.optimize(objective, n_trials=trials)
    best = found[study.best_trial.number]
    pruned = sum(t.state == optuna.trial.TrialState.PRUNED for t in study.trials)
    return Candidate(
        best.name,
        best.out_of_fold,
        {**best.settings, "trials": trials, "trials_pruned": pruned},
        best.loss,
    )


def _trials(matrix: Matrix, label: Matrix) -> int:
    if _rarer(label) < _LEAST_TO_SEARCH:
        return 1
    return int(np.clip(CELLS // matrix.size, 1, MOST_TRIALS))


def _rarer(label: Matrix) -> float:
    return float(min(label.sum(), len(label) - label.sum()))


def _settings(rows: int, seed: int) -> dict[str, Any]:
    settings: dict[str, Any] = {**_FIXED, "seed": seed, "learning_rate": 0.04}
    if rows >= LARGE:
        settings["learning_rate"] = 0.06
    if rows >= HUGE:
        settings["num_threads"] = 2
    return settings


def _cross_validate(
    schema: Schema,
    matrix: Matrix,
    label: Matrix,
    folds: Sequence[Fold],
    settings: dict[str, Any],
    trial: Any,
) -> Candidate:
    import optuna

    boosters, rounds, losses = [], [], []
    for step, (train, test) in enumerate(folds):
        booster = lgb.train(
            settings,
            _dataset(schema, matrix[train], label[train], settings),
            _MAX_ROUNDS,
            valid_sets=[_dataset(schema, matrix[test], label[test], settings)],
            callbacks=[lgb.early_stopping(_PATIENCE, verbose=False)],
        )
        boosters.append(booster)
        rounds.append(max(1, booster.best_iteration))
        losses.append(booster.best_score["valid_0"]["binary_logloss"])
        trial.report(float(np.mean(losses)), step)
        if trial.should_prune():
            raise optuna.TrialPruned
    # One number of rounds for all folds, so that no fold's score is picked by its own outcomes.
    count = int(np.median(rounds))
    out = np.empty(len(label))
    for booster, (_, test) in zip(boosters, folds, strict=True):
        out[test] = booster.predict(matrix[test], raw_score=True, num_iteration=count)
    out = np.clip(out, -LIMIT, LIMIT)
    return Candidate("boosting", out, {"rounds": count, **settings}, log_loss(label, sigmoid(out)))


def _dataset(
    schema: Schema, matrix: Matrix, label: Matrix, settings: dict[str, Any]
) -> lgb.Dataset:
    return lgb.Dataset(
        matrix,
        label,
        categorical_feature=schema.categorical,
        params={"verbosity": -1, "max_cat_to_onehot": settings["max_cat_to_onehot"]},
        free_raw_data=True,
    )


def refit_lightgbm(candidate: Candidate, schema: Schema, matrix: Matrix, label: Matrix) -> Boosting:
    """The candidate's settings on all rows."""
    own = ("rounds", "trials", "trials_pruned")
    settings = {k: v for k, v in candidate.settings.items() if k not in own}
    dataset = _dataset(schema, matrix, label, settings)
    booster = lgb.train(settings, dataset, candidate.settings["rounds"])
    # Through text and back: the model in hand is then the model that is stored.
    return Boosting(lgb.Booster(model_str=booster.model_to_string()))


def try_sklearn(
    schema: Schema, matrix: Matrix, label: Matrix, folds: Sequence[Fold], seed: int
) -> Candidate | None:
    """scikit-learn's boosting, where the table is large enough to tell and small enough to pay."""
    if matrix.size > SKLEARN_CELLS or _rarer(label) < _LEAST_TO_SEARCH:
        return None
    steps = _SKLEARN_ROUNDS // _SKLEARN_STEP
    staged = np.empty((steps, len(label)))
    for train, test in folds:
        model = _fit_sklearn(schema, matrix[train], label[train], _SKLEARN_ROUNDS, seed)
        for i, raw in enumerate(_staged(model, matrix[test])):
            staged[i, test] = raw
    outs = [np.clip(out, -LIMIT, LIMIT) for out in staged]
    losses = [log_loss(label, sigmoid(out)) for out in outs]
    best = int(np.argmin(losses))
    settings = {**_SKLEARN, "rounds": (best + 1) * _SKLEARN_STEP, "seed": seed}
    return Candidate("sklearn", outs[best], settings, losses[best])


def refit_sklearn(candidate: Candidate, schema: Schema, matrix: Matrix, label: Matrix) -> Boosting:
    """The candidate on all rows, as the booster that is stored and served."""
    rounds, seed = candidate.settings["rounds"], candidate.settings["seed"]
    model = _fit_sklearn(schema, matrix, label, rounds, seed)
    booster = as_booster(model, schema, matrix)
    return Boosting(lgb.Booster(model_str=booster.model_to_string()))


def _fit_sklearn(schema: Schema, matrix: Matrix, label: Matrix, rounds: int, seed: int) -> Any:
    from sklearn.ensemble import HistGradientBoostingClassifier
    from threadpoolctl import threadpool_limits

    model = HistGradientBoostingClassifier(
        max_iter=rounds,
        categorical_features=schema.categorical or None,
        random_state=seed,
        **_SKLEARN,
    )
    with threadpool_limits(1):
        return model.fit(matrix, label.astype(np.int64))


def _staged(model: Any, matrix: Matrix) -> list[Matrix]:
    """Log-odds after every ``_SKLEARN_STEP`` trees."""
    every = model.staged_decision_function(matrix)
    return [np.ravel(raw) for i, raw in enumerate(every, start=1) if i % _SKLEARN_STEP == 0]
