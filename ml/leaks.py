"""The leak guard: columns that give the outcome away, each named with its evidence.

A lead table that was exported after the fact holds columns that were filled in because of the
outcome. A model trained on them looks brilliant and is worthless on a new lead. No single test
finds them all without accusing honest columns, so each sign below is narrow, and none knows a
column by its name alone:

- ``alone``: one column tells the outcome better than all the others together.
- ``verdict``: a category's values are verdicts: some mean won, others mean lost, nearly always.
- ``filled``: whether a value is there at all decides the outcome.
- ``batch``: a score or a grade that was written for whole stretches of the table and not for
  others, or in exactly the same rows as its neighbours: it came with a process, not with the lead.
- ``newest``: named as the latest state (``last …``), with weight: it goes on changing after the
  moment that the lead should be scored at.
- ``later``: a time that is later than the row's own.

Strength is measured out of fold, so that a column of many values does not look strong by itself.
"""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pandas as pd

from ml.evaluation import roc_auc
from ml.leak_signs import Codes, Column, Leak, batches, filled, later, newest, verdict
from ml.schema import EMPTY, PLACEHOLDER, Feature, Matrix, Schema, infer_schema

# Below this there is too little to accuse a column with.
_LEAST_OUTCOMES = 20
_FOLDS = 5
_BINS = 20
# In real lead tables no honest column reaches this area alone; whole models hardly do.
_TOO_GOOD = 0.95
_SUSPECT = 0.88
_MARGIN = 0.02


def find_leaks(
    frame: pd.DataFrame,
    label: Matrix,
    groups: "np.ndarray[Any, Any]",
    *,
    exclude: Sequence[str] = (),
    times: "pd.Series[Any] | None" = None,
    as_of_known: bool = False,
    seed: int = 7,
) -> list[Leak]:
    """Names the columns that give the outcome away, in the order of the table.

    Args:
        frame: one row per training example, in the order in which they were written.
        label: 0 or 1 per row.
        groups: the lead per row; a lead's rows stay in one fold.
        exclude: columns that are no features anyway.
        times: when each row was known, aware; None where the table does not say.
        as_of_known: the features are known to be as of each row's time, as in the warehouse;
            signs that rest on a name or on the order of the rows are then left out.
        seed: of the folds.
    """
    found: dict[str, Leak] = {}
    if times is not None:
        _add(found, later(frame, exclude, times))
    outcomes = int(min(label.sum(), len(label) - label.sum()))
    if outcomes >= _LEAST_OUTCOMES:
        schema = infer_schema(frame, exclude)
        matrix = schema.encode(frame)
        columns = _measure(schema, matrix, label, groups, seed)
        base = float(columns[0].wins.sum() / columns[0].rows.sum())
        for column in columns:
            _add(found, [verdict(column, base), filled(column, base)])
        if not as_of_known:
            order = np.argsort(times.to_numpy(), kind="stable") if times is not None else None
            _add(found, batches(columns, order))
            _add(found, [newest(column) for column in columns])
        _add(found, _alone(columns, set(found), schema, matrix, label, groups, seed))
    position = {str(name): i for i, name in enumerate(frame.columns)}
    return sorted(found.values(), key=lambda leak: position[leak.column])


def _add(found: dict[str, Leak], leaks: Iterable[Leak | None]) -> None:
    for leak in leaks:
        if leak is not None:
            found.setdefault(leak.column, leak)


def _measure(
    schema: Schema, matrix: Matrix, label: Matrix, groups: "np.ndarray[Any, Any]", seed: int
) -> list[Column]:
    fold = _fold_of(groups, seed)
    # A lead counts once, however many rows it has: what is true of one lead is no rule.
    _, place, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    weight = 1.0 / sizes[place]
    columns = []
    for i, feature in enumerate(schema.features):
        codes = _codes(feature, matrix[:, i])
        size = max(int(codes.max()), PLACEHOLDER) + 1
        cells = codes * _FOLDS + fold
        rows, wins = (
            np.bincount(cells, weights=weights, minlength=size * _FOLDS).reshape(size, _FOLDS)
            for weights in (weight, weight * label)
        )
        outside = rows.sum(axis=1, keepdims=True) - rows
        won = wins.sum(axis=1, keepdims=True) - wins
        base = won.sum(axis=0) / outside.sum(axis=0)
        # Against few leads of a value the base rate counts for ten.
        rate = (won + 10 * base) / (outside + 10)
        strength = roc_auc(label, rate[codes, fold])
        columns.append(Column(feature, codes, rows.sum(axis=1), wins.sum(axis=1), strength))
    return columns


def _fold_of(groups: "np.ndarray[Any, Any]", seed: int) -> Codes:
    names, place = np.unique(groups, return_inverse=True)
    return np.random.default_rng(seed).integers(0, _FOLDS, len(names))[place]


def _codes(feature: Feature, values: Matrix) -> Codes:
    if feature.kind == "categorical":
        return np.asarray(values, dtype=np.int64)
    known = ~np.isnan(values)
    codes = np.full(len(values), EMPTY, dtype=np.int64)
    if known.any():
        edges = np.unique(np.quantile(values[known], np.linspace(0, 1, _BINS + 1)))
        # Both sides, so that a value as frequent as a whole bin has a code of its own.
        sides = [np.searchsorted(edges, values[known], side=side) for side in ("left", "right")]  # type: ignore[call-overload]
        codes[known] = 1 + sides[0] + sides[1]
    return codes


def _alone(
    columns: Sequence[Column],
    named: set[str],
    schema: Schema,
    matrix: Matrix,
    label: Matrix,
    groups: "np.ndarray[Any, Any]",
    seed: int,
) -> list[Leak]:
    error = _auc_error(label)
    suspects = [
        c
        for c in columns
        if c.feature.name not in named
        and (c.strength >= _TOO_GOOD or c.strength - error >= _SUSPECT)
    ]
    if not suspects:
        return []
    aside = named | {c.feature.name for c in suspects}
    others = [i for i, f in enumerate(schema.features) if f.name not in aside]
    rest = _together(schema, others, matrix, label, groups, seed) if others else 0.5
    return [
        Leak(
            c.feature.name,
            "alone",
            f"Alone it reaches a ROC AUC of {c.strength:.3f} on rows not trained on, the "
            f"{len(others)} columns that give nothing away {rest:.3f} together.",
        )
        for c in suspects
        if c.strength >= _TOO_GOOD or c.strength > rest + _MARGIN
    ]


def _together(
    schema: Schema,
    chosen: Sequence[int],
    matrix: Matrix,
    label: Matrix,
    groups: "np.ndarray[Any, Any]",
    seed: int,
) -> float:
    """ROC AUC, out of fold, of boosting on the chosen columns."""
    from sklearn.ensemble import HistGradientBoostingClassifier
    from threadpoolctl import threadpool_limits

    fold = _fold_of(groups, seed)
    part = np.where(np.isnan(matrix), np.nan, matrix)[:, chosen]
    categorical = [schema.features[i].kind == "categorical" for i in chosen]
    score = np.empty(len(label))
    with threadpool_limits(1):
        for k in range(_FOLDS):
            model = HistGradientBoostingClassifier(
                max_iter=80, categorical_features=categorical, random_state=seed
            )
            model.fit(part[fold != k], label[fold != k])
            score[fold == k] = model.predict_proba(part[fold == k])[:, 1]
    return roc_auc(label, score)


def _auc_error(label: Matrix) -> float:
    """Half the width of an area's 95 % interval near the suspect threshold (Hanley, McNeil)."""
    a = _SUSPECT
    wins = float(label.sum())
    rest = len(label) - wins
    q1, q2 = a / (2 - a), 2 * a * a / (1 + a)
    variance = (a * (1 - a) + (wins - 1) * (q1 - a * a) + (rest - 1) * (q2 - a * a)) / (wins * rest)
    return 1.96 * float(np.sqrt(variance))
