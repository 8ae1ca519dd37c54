"""Learners of effects, from econml and plain LightGBM, behind one signature.

econml is imported where it is used, since that takes seconds.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from ml.schema import Matrix

Effect = Callable[[Matrix], Matrix]
Learner = Callable[[Matrix, Matrix, Matrix, int], Effect]

_TREES = {
    "n_estimators": 60,
    "learning_rate": 0.05,
    "num_leaves": 8,
    "min_child_samples": 50,
    "subsample": 0.8,
    "subsample_freq": 1,
    "reg_lambda": 20.0,
    "n_jobs": 1,
    "verbosity": -1,
    "deterministic": True,
    "force_row_wise": True,
}


def _trees(seed: int, **settings: Any) -> Any:
    from lightgbm import LGBMRegressor

    return LGBMRegressor(**{**_TREES, "random_state": seed, **settings})


def transformed_outcome(x: Matrix, treated: Matrix, outcome: Matrix, seed: int) -> Effect:
    """Trees on an outcome whose mean is the effect (Jaskowski & Jaroszewicz, 2012)."""
    share = float(treated.mean())
    target = outcome * (treated - share) / (share * (1 - share))
    model = _trees(seed, n_estimators=40, num_leaves=4, min_child_samples=_leaf(len(x)))
    return _plain(model.fit(x, target).predict)


def t_learner(x: Matrix, treated: Matrix, outcome: Matrix, seed: int) -> Effect:
    """A model per arm, and their difference."""
    from econml.metalearners import TLearner

    return _econml(TLearner(models=_trees(seed)).fit(outcome, treated.astype(int), X=x))


def x_learner(x: Matrix, treated: Matrix, outcome: Matrix, seed: int) -> Effect:
    """Effects imputed from the other arm's model (Künzel et al., 2019)."""
    from econml.metalearners import XLearner
    from sklearn.dummy import DummyClassifier

    learner = XLearner(
        models=_trees(seed),
        cate_models=_trees(seed, n_estimators=40, num_leaves=4, min_child_samples=_leaf(len(x))),
        # The draw does not depend on the lead.
        propensity_model=DummyClassifier(strategy="prior"),
    )
    return _econml(learner.fit(outcome, treated.astype(int), X=x))


def dr_learner(x: Matrix, treated: Matrix, outcome: Matrix, seed: int) -> Effect:
    """Doubly robust, with a linear final stage: the steadiest on few rows (Kennedy, 2020)."""
    from econml.dr import DRLearner
    from sklearn.dummy import DummyClassifier
    from sklearn.linear_model import RidgeCV

    learner = DRLearner(
        model_propensity=DummyClassifier(strategy="prior"),
        model_regression=_trees(seed),
        model_final=RidgeCV(alphas=np.logspace(0, 5, 11)),
        cv=2,
        random_state=seed,
    )
    return _econml(learner.fit(outcome, treated.astype(int), X=x))


def causal_forest(x: Matrix, treated: Matrix, outcome: Matrix, seed: int) -> Effect:
    """An honest forest of effects (Wager & Athey, 2018)."""
    from econml.grf import CausalForest

    forest = CausalForest(
        n_estimators=100,
        max_samples=min(0.45, max(0.1, 8_000 / len(x))),
        min_samples_leaf=_leaf(len(x)) // 2,
        max_depth=6,
        honest=True,
        inference=False,
        n_jobs=1,
        random_state=seed,
    )
    # Without what the outcome is anyway, the forest need only find effects.
    base = _trees(seed).fit(x, outcome).predict(x)
    forest.fit(x, (treated - treated.mean())[:, None], (outcome - base)[:, None])
    return _plain(forest.predict)


def proportional(x: Matrix, treated: Matrix, outcome: Matrix, seed: int) -> Effect:
    """The same relative effect for every lead: who responds more gains more. Hard to beat."""
    base = _trees(seed).fit(np.column_stack([x, treated]), outcome)
    arms = outcome[treated > 0.5].mean(), outcome[treated < 0.5].mean()
    relative = float((arms[0] - arms[1]) / max(arms[0], 1e-9))

    def effect(rows: Matrix) -> Matrix:
        responds = base.predict(np.column_stack([rows, np.ones(len(rows))]))
        return np.asarray(responds * relative, dtype=np.float64)

    return effect


LEARNERS: dict[str, Learner] = {
    "proportional": proportional,
    "transformed_outcome": transformed_outcome,
    "t_learner": t_learner,
    "x_learner": x_learner,
    "dr_learner": dr_learner,
    "causal_forest": causal_forest,
}


def response_model(x: Matrix, treated: Matrix, outcome: Matrix, seed: int) -> Effect:
    """No learner of effects: who responds when treated, for comparison."""
    chosen = treated > 0.5
    return _plain(_trees(seed).fit(x[chosen], outcome[chosen]).predict)


def _leaf(rows: int) -> int:
    """Rows of a leaf: effects are small beside the noise of single outcomes."""
    return max(40, rows // 50)


def _econml(learner: Any) -> Effect:
    return _plain(learner.effect)


def _plain(predict: Callable[[Matrix], Any]) -> Effect:
    def effect(x: Matrix) -> Matrix:
        return np.asarray(predict(x), dtype=np.float64).reshape(len(x))

    return effect
