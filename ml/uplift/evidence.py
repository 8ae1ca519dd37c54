"""Whether past draws tell whom a touch helps: learners are compared, and one is judged apart.

Each learner gives effects for rows that it was not trained on. The best by Qini on one half of the
rows is judged on the other half, so that having been the best of several does not flatter it.
"""

from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Any

import lightgbm as lgb
import numpy as np
import pandas as pd

from ml.members import design, design_terms
from ml.schema import Matrix, Schema, infer_schema
from ml.uplift.learners import LEARNERS, Learner
from ml.uplift.model import EffectLine, UpliftModel, fit_line
from ml.uplift.qini import Estimate, average_effect, qini

LEAST_PER_ARM = 200
LEAST_OUTCOMES_PER_ARM = 20

NO_EVIDENCE = "no_evidence"
AVERAGE = "average"
TARGETED = "targeted"

_FOLDS = 3
_DISTILLED = {
    "objective": "regression",
    "learning_rate": 0.1,
    "num_leaves": 31,
    "min_data_in_leaf": 20,
    "deterministic": True,
    "force_row_wise": True,
    "num_threads": 1,
    "verbosity": -1,
}


@dataclass(frozen=True)
class Evidence:
    """What past draws tell of the effect of a touch.

    Attributes:
        verdict: ``no_evidence`` yet; ``average``: it has an effect, but not whom it helps more;
            ``targeted``: whom as well.
        reason: why, in a sentence.
        rows_treated, rows_held_out: rows of the two arms.
        share_held_out: outcomes among those held out.
        effect: average effect; None without rows enough.
        qini: by learner, on the rows that choose.
        chosen: the learner chosen.
        judged: its Qini on the other rows.
        line: its best linear predictor there.
    """

    verdict: str
    reason: str
    rows_treated: int
    rows_held_out: int
    share_held_out: float | None = None
    effect: Estimate | None = None
    qini: dict[str, float] = field(default_factory=dict)
    chosen: str | None = None
    judged: Estimate | None = None
    line: EffectLine | None = None

    def to_dict(self) -> dict[str, Any]:
        """As JSON holds it."""
        return asdict(self)


def counted(treated: Matrix, outcome: Matrix) -> Evidence | None:
    """The answer where there are too few rows or outcomes to look at all; else None."""
    arms = outcome[treated > 0.5], outcome[treated < 0.5]
    rows, outcomes = [len(arm) for arm in arms], [int(arm.sum()) for arm in arms]
    if min(rows) >= LEAST_PER_ARM and min(outcomes) >= LEAST_OUTCOMES_PER_ARM:
        return None
    return Evidence(
        NO_EVIDENCE,
        f"No evidence yet: {rows[0]} leads sent to with {outcomes[0]} outcomes, {rows[1]} held out "
        f"with {outcomes[1]}; at least {LEAST_PER_ARM} leads and {LEAST_OUTCOMES_PER_ARM} outcomes "
        "of each are needed.",
        rows_treated=rows[0],
        rows_held_out=rows[1],
        share_held_out=float(arms[1].mean()) if rows[1] else None,
    )


def learn_uplift(
    frame: pd.DataFrame,
    treated: Matrix,
    outcome: Matrix,
    *,
    schema: Schema | None = None,
    learners: Iterable[str] = tuple(LEARNERS),
    seed: int = 7,
    resamples: int = 200,
) -> tuple[Evidence, UpliftModel | None]:
    """Weighs the evidence, and where it tells whom a touch helps, gives the model.

    Args:
        frame: one row per lead that was drawn, with its features before the draw.
        treated: 1 where it was sent to, 0 where it was held out, at random.
        outcome: 1 where it happened, 0 else.
        schema: the columns' kinds where they are known.
        learners: names of ``LEARNERS`` to try.
        seed: of folds and learners.
        resamples: of the bootstrap behind the Qini interval.
    """
    too_few = counted(treated, outcome)
    if too_few is not None:
        return too_few, None
    schema = schema or infer_schema(frame)
    inputs = Inputs.of(schema, frame)
    names = tuple(learners)
    learnt = {
        name: cross_fitted(LEARNERS[name], inputs.linear, treated, outcome, seed) for name in names
    }
    choosing = np.random.default_rng(seed + 1).random(len(outcome)) < 0.5
    chosen_by = {
        name: qini(
            broken_ties(effect[choosing], seed),
            treated[choosing], outcome[choosing], resamples=2, seed=seed,
        ).value
        for name, effect in learnt.items()
    }  # fmt: skip
    best = max(names, key=lambda name: chosen_by[name])
    other = ~choosing
    ranking = broken_ties(learnt[best][other], seed)
    judged = qini(ranking, treated[other], outcome[other], resamples=resamples, seed=seed)
    line = fit_line(learnt[best][other], treated[other], outcome[other])
    effect = average_effect(treated, outcome)
    facts: dict[str, Any] = {
        "rows_treated": int(treated.sum()),
        "rows_held_out": int(len(treated) - treated.sum()),
        "share_held_out": float(outcome[treated < 0.5].mean()),
        "effect": effect,
        "qini": chosen_by,
        "chosen": best,
        "judged": judged,
        "line": line,
    }
    shown = f"average effect {effect.value:+.4f} ({effect.low:+.4f} to {effect.high:+.4f})"
    if judged.is_positive and line.slope > 0:
        model = _final(schema, inputs, treated, outcome, best, line, seed)
        reason = f"{best} ranks leads by effect better than chance does; {shown}."
        return Evidence(TARGETED, reason, **facts), model
    if effect.excludes_zero:
        reason = f"A touch has an effect, but whom it helps more cannot be told; {shown}."
        return Evidence(AVERAGE, reason, **facts), None
    reason = f"No evidence yet: both intervals hold zero; {shown}."
    return Evidence(NO_EVIDENCE, reason, **facts), None


@dataclass(frozen=True)
class Inputs:
    """Features as trees take them, and filled in and standardised as other learners need them."""

    matrix: Matrix
    linear: Matrix

    @classmethod
    def of(cls, schema: Schema, frame: pd.DataFrame) -> "Inputs":
        """Both forms of a frame's rows."""
        matrix = schema.encode(frame)
        return cls(matrix, design(design_terms(schema, matrix), matrix))


def cross_fitted(
    learner: Learner, x: Matrix, treated: Matrix, outcome: Matrix, seed: int
) -> Matrix:
    """Effects for each row from a learner that was trained without it."""
    from sklearn.model_selection import StratifiedKFold

    effect = np.empty(len(outcome))
    arms = 2 * treated.astype(np.int64) + (outcome > 0)
    for train, test in StratifiedKFold(_FOLDS, shuffle=True, random_state=seed).split(x, arms):
        learnt = learner(x[train], treated[train], outcome[train], seed)(x[test])
        # Each fold's learner has a level of its own; the order within the fold is what it tells.
        effect[test] = learnt
    return effect


def broken_ties(effect: Matrix, seed: int) -> Matrix:
    """The ranking with equal effects in random order: the order of rows is no skill."""
    _, place = np.unique(effect, return_inverse=True)
    return np.asarray(place + np.random.default_rng(seed).random(len(effect)), dtype=np.float64)


def _final(
    schema: Schema,
    inputs: Inputs,
    treated: Matrix,
    outcome: Matrix,
    name: str,
    line: EffectLine,
    seed: int,
) -> UpliftModel:
    """The chosen learner on all rows, as trees that are stored as text and need no econml."""
    learnt = LEARNERS[name](inputs.linear, treated, outcome, seed)(inputs.linear)
    data = lgb.Dataset(inputs.matrix, learnt, categorical_feature=schema.categorical)
    booster = lgb.train({**_DISTILLED, "seed": seed}, data, 150)
    kept = np.asarray(booster.predict(inputs.matrix), dtype=np.float64)
    agreement = float(np.corrcoef(kept, learnt)[0, 1]) if learnt.std() > 0 else 1.0
    centred = EffectLine(**{**line.__dict__, "centre": float(kept.mean())})
    training = {"learner": name, "seed": seed, "rows": len(outcome), "distilled": agreement}
    return UpliftModel(schema, booster.model_to_string(), centred, training)
