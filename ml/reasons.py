"""Why a score is what it is, in words that a broker understands."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from ml.model import LeadModel
from ml.schema import Matrix, is_empty, normalise, parse_number

TOP = 3
# Contributions smaller than this (in log-odds) move a score by less than half a percent point.
_LEAST = 0.02
# No theme has as many features as would fill these.
_LOOKED_AT = 64


@dataclass(frozen=True)
class _Rule:
    text: str
    missing: bool = False
    upto: float | None = None
    value: str | None = None

    def fits(self, value: Any, number: float) -> bool:
        """Whether it is for a value that is not empty, and the number that it is (or NaN)."""
        if self.missing:
            return False
        if self.value is not None:
            return normalise(value) == self.value
        if self.upto is None:
            return True
        # Days and hours are compared as they are shown: rounded.
        return (round(number) if number >= 1 else number) <= self.upto


@dataclass(frozen=True)
class _Entry:
    label: str
    theme: str
    rules: tuple[_Rule, ...]


@dataclass(frozen=True)
class Explanation:
    """A score taken apart, in log-odds.

    ``base + other`` and the contributions in ``reasons`` sum to the log-odds of the calibrated
    score: nothing is left unexplained, and what is not told one by one is told in sum.

    Attributes:
        reasons: up to ``TOP`` of ``{feature, value, contribution, sentence}``, strongest first, at
            most one of each theme.
        base: where every lead starts.
        other: what all further features add.
    """

    reasons: tuple[dict[str, Any], ...]
    base: float
    other: float

    @property
    def log_odds(self) -> float:
        """Log-odds of the score."""
        told: float = sum(reason["contribution"] for reason in self.reasons)
        return self.base + self.other + told


def reasons(
    model: LeadModel, matrix: Matrix, values: "Sequence[Mapping[str, Any]]"
) -> list[list[dict[str, Any]]]:
    """The reasons alone of :func:`explain`."""
    return [list(one.reasons) for one in explain(model, matrix, values)]


def explain(
    model: LeadModel, matrix: Matrix, values: "Sequence[Mapping[str, Any]]"
) -> list[Explanation]:
    """Takes scores apart, one :class:`Explanation` a row.

    Args:
        model: the model that scores.
        matrix: rows of :meth:`ml.schema.Schema.encode`.
        values: the same rows' feature values as the warehouse has them.
    """
    contributions = model.contributions(matrix)
    totals = contributions.sum(axis=1)
    order = np.argsort(-np.abs(contributions[:, :-1]), axis=1, kind="stable")[:, :_LOOKED_AT]
    names = model.schema.names
    themes = _themes(names)
    result = []
    for row, ranked, shares, total in zip(
        values, order.tolist(), contributions, totals.tolist(), strict=True
    ):
        found: list[dict[str, Any]] = []
        told: set[str] = set()
        for i in ranked:
            share = round(float(shares[i]), 6)
            if len(found) == TOP or abs(share) < _LEAST:
                break
            if themes[i] in told:
                continue
            told.add(themes[i])
            value = _plain(row[names[i]])
            found.append(
                {
                    "feature": names[i],
                    "value": value,
                    "contribution": share,
                    "sentence": sentence(names[i], value, share),
                }
            )
        base = float(shares[-1])
        other = total - base - sum(reason["contribution"] for reason in found)
        result.append(Explanation(tuple(found), base, other))
    return result


def sentence(feature: str, value: Any, contribution: float) -> str:
    """One reason as a broker reads it; what lowers the score says so."""
    said = describe(feature, value)
    return said if contribution > 0 else f"Against: {said[0].lower()}{said[1:]}"


@lru_cache(maxsize=100_000)
def describe(feature: str, value: Any) -> str:
    """A feature's value in words, without a full stop."""
    entry, empty, number = _catalogue().get(feature), is_empty(value), parse_number(value)
    rules = entry.rules if entry else ()
    fitting = (r for r in rules if (r.missing if empty else r.fits(value, number)))
    rule = next(fitting, None)
    if rule is not None:
        text = rule.text.format_map(_Forms(value, number))
    else:
        label = entry.label if entry else feature.replace("_", " ")
        text = f"{label}: {'not known' if empty else value}"
    return text[0].upper() + text[1:]


class _Forms(dict[str, str]):
    """What a sentence may say of a value; made when it is said."""

    def __init__(self, value: Any, number: float) -> None:
        super().__init__()
        self._value = value
        self._number = number

    def __missing__(self, form: str) -> str:
        number = self._number
        if form == "text":
            return "" if is_empty(self._value) else str(self._value).strip()
        if form == "n":
            return f"{round(number):,}"
        if form == "x":
            return f"{number:,.1f}"
        if form == "dollars":
            return f"${round(number / 100):,}"
        if form == "minutes":
            minutes = max(1, round(number / 60))
            return f"{minutes:,} minute{'' if minutes == 1 else 's'}"
        if form == "percent":
            return f"{number:.0%}"
        raise KeyError(form)


def _plain(value: Any) -> Any:
    """A value as JSON holds it."""
    if is_empty(value):
        return None
    if isinstance(value, (np.number, np.bool_)):
        value = value.item()
    if isinstance(value, (bool, str)):
        return value
    number = parse_number(value)
    return int(number) if number.is_integer() else number


@lru_cache(maxsize=8)
def _themes(names: tuple[str, ...]) -> list[str]:
    catalogue = _catalogue()
    return [catalogue[name].theme if name in catalogue else name for name in names]


@cache
def _catalogue() -> dict[str, _Entry]:
    text = Path(__file__).with_name("sentences.yaml").read_text("utf-8")
    return {
        name: _Entry(
            label=entry["label"],
            theme=entry["theme"],
            rules=tuple(
                _Rule(
                    text=rule["text"],
                    missing=rule.get("missing", False),
                    upto=rule.get("upto"),
                    value=rule.get("is"),
                )
                for rule in entry["rules"]
            ),
        )
        for name, entry in yaml.safe_load(text).items()
    }
