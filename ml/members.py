"""The models that a score is made of, in the form in which they are applied.

Each gives log-odds, and each gives them as a base plus one exact contribution per feature. Both
are stored as text or JSON and applied without scikit-learn: no pickle, no import on the hot path.
The arithmetic goes element by element in a fixed order, so a lead scored alone gets the same bits
as in a batch.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any, Protocol

import lightgbm as lgb
import numpy as np

from ml.lightgbm_row import OneRow
from ml.schema import FIRST_LEVEL, Matrix, Schema

# Below this, starting a second thread costs more than it saves.
_MANY_ROWS = 20_000
# So many rows of a hundred features stay in a core's cache.
_BLOCK_ROWS = 2_048


class Member(Protocol):
    """One fitted model."""

    def log_odds(self, matrix: Matrix) -> Matrix:
        """Log-odds per row."""
        ...

    def contributions(self, matrix: Matrix) -> Matrix:
        """One column per feature and the base last; a row sums to its log-odds."""
        ...

    def to_dict(self) -> dict[str, Any]:
        """As JSON holds it."""
        ...


@dataclass
class Boosting:
    """LightGBM trees."""

    booster: lgb.Booster

    def log_odds(self, matrix: Matrix) -> Matrix:
        """Log-odds per row."""
        return self._predict(matrix, contributions=False)

    def contributions(self, matrix: Matrix) -> Matrix:
        """Tree SHAP values: one column per feature and the base last."""
        return self._predict(matrix, contributions=True)

    def _predict(self, matrix: Matrix, *, contributions: bool) -> Matrix:
        if len(matrix) == 1:
            return self._one_row.predict(matrix, contributions=contributions)
        result = self.booster.predict(
            matrix,
            raw_score=not contributions,
            pred_contrib=contributions,
            num_threads=2 if len(matrix) >= _MANY_ROWS else 1,
        )
        return np.asarray(result, dtype=np.float64)

    @cached_property
    def _one_row(self) -> OneRow:
        return OneRow(self.booster.model_to_string(), self.booster.num_feature())

    def to_dict(self) -> dict[str, Any]:
        """The trees as LightGBM's own text."""
        return {"kind": "boosting", "model": self.booster.model_to_string()}


@dataclass(frozen=True)
class Term:
    """One column of the linear model's design.

    Attributes:
        feature: position of the feature it is made of.
        kind: ``value``, ``log`` (signed log of 1 + |x|), ``missing``, or ``level``.
        code: the category's code, where ``kind`` is ``level``.
        centre, scale: what standardises it.
    """

    feature: int
    kind: str
    code: int = 0
    centre: float = 0.0
    scale: float = 1.0

    def column(self, matrix: Matrix) -> Matrix:
        """The term's standardised value per row; a missing number stands at the centre."""
        raw = matrix[:, self.feature]
        if self.kind == "level":
            values = (raw == self.code).astype(np.float64)
        elif self.kind == "missing":
            values = np.isnan(raw).astype(np.float64)
        else:
            values = np.sign(raw) * np.log1p(np.abs(raw)) if self.kind == "log" else raw
            # Far outliers would otherwise carry a linear score anywhere.
            values = np.clip((values - self.centre) / self.scale, -6.0, 6.0)
            values = np.where(np.isnan(raw), 0.0, values)
            return np.asarray(values, dtype=np.float64)
        return np.asarray((values - self.centre) / self.scale, dtype=np.float64)


@dataclass(frozen=True)
class _Terms:
    """The terms of one kind as arrays, so that all are computed at once."""

    feature: "np.ndarray[Any, np.dtype[np.int64]]"
    coefficient: Matrix
    centre: Matrix
    scale: Matrix

    @classmethod
    def of(cls, terms: Sequence[tuple[Term, float]]) -> "_Terms":
        return cls(
            np.array([term.feature for term, _ in terms], dtype=np.int64),
            np.array([coefficient for _, coefficient in terms]),
            np.array([term.centre for term, _ in terms]),
            np.array([term.scale for term, _ in terms]),
        )


@dataclass
class Linear:
    """Logistic regression; contributions are relative to the training rows' mean.

    Applied per kind of term rather than term by term: a hundred features and their levels are a
    dozen array operations, for one lead as for a block of them.
    """

    terms: tuple[Term, ...]
    coefficients: tuple[float, ...]
    intercept: float
    features: int

    def log_odds(self, matrix: Matrix) -> Matrix:
        """Log-odds per row."""
        # One after the other, so that the sum does not depend on how many rows there are.
        return np.add.accumulate(self.contributions(matrix)[:, ::-1], axis=1)[:, -1]

    def contributions(self, matrix: Matrix) -> Matrix:
        """One column per feature and the intercept last."""
        out = np.zeros((len(matrix), self.features + 1))
        out[:, -1] = self.intercept
        for start in range(0, len(matrix), _BLOCK_ROWS):
            rows = slice(start, start + _BLOCK_ROWS)
            self._add(out[rows], matrix[rows])
        return out

    def _add(self, out: Matrix, matrix: Matrix) -> None:
        numbers = self._by_kind
        for kind in ("value", "log"):
            terms = numbers[kind]
            raw = matrix[:, terms.feature]
            values = np.sign(raw) * np.log1p(np.abs(raw)) if kind == "log" else raw
            values = np.clip((values - terms.centre) / terms.scale, -6.0, 6.0)
            # A missing number stands at the centre.
            out[:, terms.feature] += np.where(np.isnan(raw), 0.0, values * terms.coefficient)
        terms = numbers["missing"]
        values = (np.isnan(matrix[:, terms.feature]) - terms.centre) / terms.scale
        out[:, terms.feature] += values * terms.coefficient
        for feature, table in self._levels:
            codes = np.clip(matrix[:, feature], 0, len(table) - 1).astype(np.int64)
            out[:, feature] += table[codes]

    @cached_property
    def _by_kind(self) -> dict[str, _Terms]:
        pairs = list(zip(self.terms, self.coefficients, strict=True))
        return {
            kind: _Terms.of([pair for pair in pairs if pair[0].kind == kind])
            for kind in ("value", "log", "missing")
        }

    @cached_property
    def _levels(self) -> list[tuple[int, Matrix]]:
        """Per categorical feature what each code adds, and last what any further code does."""
        by_feature: dict[int, list[tuple[Term, float]]] = {}
        for term, coefficient in zip(self.terms, self.coefficients, strict=True):
            if term.kind == "level":
                by_feature.setdefault(term.feature, []).append((term, coefficient))
        tables = []
        for feature, pairs in by_feature.items():
            codes = np.arange(max(term.code for term, _ in pairs) + 2)
            table = np.zeros(len(codes))
            for term, coefficient in pairs:
                table += coefficient * ((codes == term.code) - term.centre) / term.scale
            tables.append((feature, table))
        return tables

    def to_dict(self) -> dict[str, Any]:
        """Terms and coefficients."""
        return {
            "kind": "linear",
            "terms": [[t.feature, t.kind, t.code, t.centre, t.scale] for t in self.terms],
            "coefficients": list(self.coefficients),
            "intercept": self.intercept,
            "features": self.features,
        }


@dataclass
class Prior:
    """No more than the share of conversions: what every other member must beat."""

    value: float
    features: int

    def log_odds(self, matrix: Matrix) -> Matrix:
        """The same for each row."""
        return np.full(len(matrix), self.value)

    def contributions(self, matrix: Matrix) -> Matrix:
        """Nothing but the base."""
        out = np.zeros((len(matrix), self.features + 1))
        out[:, -1] = self.value
        return out

    def to_dict(self) -> dict[str, Any]:
        """The log-odds."""
        return {"kind": "prior", "value": self.value, "features": self.features}


@dataclass(frozen=True)
class Points:
    """One rule of the rules score, in terms of the matrix.

    Attributes:
        feature: position of the feature that is looked at.
        points: what it adds where it holds, in log-odds.
        least, most: ends of a number's range, each included; None is open.
        codes: a category's codes for which it holds.
        missing: whether it holds where there is no value, and only there.
    """

    feature: int
    points: float
    least: float | None = None
    most: float | None = None
    codes: tuple[int, ...] = ()
    missing: bool = False

    def holds(self, column: Matrix) -> "np.ndarray[Any, np.dtype[np.bool_]]":
        """Where the rule holds; a missing number is in no range."""
        if self.codes:
            return np.isin(column, self.codes)
        if self.missing:
            return np.isnan(column)
        low = -np.inf if self.least is None else self.least
        high = np.inf if self.most is None else self.most
        return np.asarray((column >= low) & (column <= high), dtype=np.bool_)


@dataclass
class Rules:
    """Points by rules that people wrote down, where there is nothing yet to learn from.

    Attributes:
        rules: the rules.
        base: log-odds of a lead for which each feature adds what it adds on average.
        centres: what each feature adds on average; its contribution is relative to that, so that
            the absence of what is common tells something too.
    """

    rules: tuple[Points, ...]
    base: float
    centres: tuple[float, ...]

    def log_odds(self, matrix: Matrix) -> Matrix:
        """Log-odds per row."""
        return np.add.accumulate(self.contributions(matrix)[:, ::-1], axis=1)[:, -1]

    def contributions(self, matrix: Matrix) -> Matrix:
        """One column per feature and the base last."""
        out = np.empty((len(matrix), len(self.centres) + 1))
        out[:, :-1] = -np.array(self.centres)
        out[:, -1] = self.base
        for rule in self.rules:
            out[:, rule.feature] += rule.points * rule.holds(matrix[:, rule.feature])
        return out

    def to_dict(self) -> dict[str, Any]:
        """Rules and base."""
        return {
            "kind": "rules",
            "rules": [asdict(rule) for rule in self.rules],
            "base": self.base,
            "centres": list(self.centres),
        }


def member_from_dict(data: dict[str, Any]) -> Member:
    """The reverse of a member's ``to_dict``."""
    if data["kind"] == "boosting":
        return Boosting(lgb.Booster(model_str=data["model"]))
    if data["kind"] == "linear":
        terms = tuple(Term(int(f), k, int(code), c, s) for f, k, code, c, s in data["terms"])
        return Linear(terms, tuple(data["coefficients"]), data["intercept"], data["features"])
    if data["kind"] == "rules":
        rules = tuple(Points(**{**one, "codes": tuple(one["codes"])}) for one in data["rules"])
        return Rules(rules, data["base"], tuple(data["centres"]))
    return Prior(data["value"], data["features"])


def design_terms(schema: Schema, matrix: Matrix) -> tuple[Term, ...]:
    """The linear model's terms, standardised on ``matrix``; constant ones are left out."""
    terms: list[Term] = []
    for i, feature in enumerate(schema.features):
        column = matrix[:, i]
        if feature.kind == "categorical":
            terms += [Term(i, "level", code) for code in range(FIRST_LEVEL + len(feature.levels))]
            continue
        if np.isnan(column).any():
            terms.append(Term(i, "missing"))
        terms.append(Term(i, "value"))
        if feature.kind == "numeric":
            terms.append(Term(i, "log"))
    return _standardised(terms, matrix)


def _standardised(terms: Sequence[Term], matrix: Matrix) -> tuple[Term, ...]:
    fitted = []
    for term in terms:
        raw = matrix[:, term.feature]
        if term.kind in ("level", "missing"):
            values = term.column(matrix)
        else:
            values = raw[~np.isnan(raw)]
            if term.kind == "log":
                values = np.sign(values) * np.log1p(np.abs(values))
        scale = float(values.std()) if len(values) else 0.0
        if scale > 1e-9:
            fitted.append(Term(term.feature, term.kind, term.code, float(values.mean()), scale))
    return tuple(fitted)


def design(terms: Sequence[Term], matrix: Matrix) -> Matrix:
    """The linear model's design matrix."""
    out = np.empty((len(matrix), len(terms)))
    for i, term in enumerate(terms):
        out[:, i] = term.column(matrix)
    return out
