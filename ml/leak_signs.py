"""The signs by which the leak guard knows a column that gives the outcome away."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from ml.schema import EMPTY, FIRST_LEVEL, PLACEHOLDER, Feature, Matrix, infer_columns

Codes = np.ndarray[Any, np.dtype[np.int64]]

_STRETCHES = 10
# A verdict moves the odds at least eightfold, either way.
_VERDICT_ODDS = 8.0
_NEWEST_STRENGTH = 0.6
_BATCH_STRENGTH = 0.52
_WORDS = re.compile(r"[a-z]+")
_NEWEST = re.compile(r"^(last|latest|newest|final|most recent)\b(?!.*\bsince\b)")
_ASSESSED = frozenset(
    {
        "score", "scores", "index", "rating", "grade", "rank", "quality", "probability",
        "propensity", "likelihood", "prediction", "predicted", "forecast",
    }
)  # fmt: skip


@dataclass(frozen=True)
class Leak:
    """A column that gives the outcome away.

    Attributes:
        column: its name.
        sign: which sign gave it away, as in the module's description.
        evidence: in a sentence, with the figures.
    """

    column: str
    sign: str
    evidence: str


@dataclass(frozen=True)
class Column:
    """A feature as few codes (0 is empty), with leads and conversions per code.

    ``strength`` is the ROC AUC of the share of conversions per code, out of fold.
    """

    feature: Feature
    codes: Codes
    rows: Matrix
    wins: Matrix
    strength: float


def verdict(column: Column, base: float) -> Leak | None:
    """A category whose values mean won or lost, or a flag that is all but the outcome."""
    if column.feature.kind == "numeric":
        return None
    rows, wins = column.rows, column.wins
    # Two leads of the base rate more: nothing is decided by a handful.
    rate = (wins + 2 * base) / (rows + 2)
    odds = rate / (1 - rate) / (base / (1 - base))
    named = (np.arange(len(rows)) != EMPTY) & (rows >= 5)
    # What most rows lack was given to some of them later: less is then enough.
    unsaid = rows[[EMPTY, PLACEHOLDER]].sum() if column.feature.kind == "categorical" else 0.0
    sparse = unsaid >= 0.5 * rows.sum()
    least_odds, least_rate = (5.0, 0.75) if sparse else (_VERDICT_ODDS, 0.85)
    won = named & (odds >= least_odds) & (rate >= least_rate)
    lost = named & (odds <= 1 / _VERDICT_ODDS)
    up, down = _pooled(rows, wins, won), _pooled(rows, wins, lost)
    negatives = rows.sum() - wins.sum()
    decided_up = up.rows >= 15 and _chance(up, base) < 1e-6
    decided_down = down.rows >= 15 and _chance(down, base) < 1e-6
    both = column.feature.kind == "categorical" and decided_up and decided_down
    # One way only, a value must be all but certain and decide much of the table.
    only_up = decided_up and up.low >= 0.95 and up.wins >= 0.2 * wins.sum()
    only_down = (
        decided_down
        and down.high <= base / 25
        and down.rows - down.wins >= 0.2 * negatives
        and down.rows * base >= 30
    )
    if not (both or only_up or only_down):
        return None
    sides = [(won, up)] if both or only_up else []
    sides += [(lost, down)] if both or only_down else []
    said = "; ".join(
        f"of {part.rows:,.0f} leads with {_values(column, codes)} {part.share:.1%} converted"
        for codes, part in sides
    )
    text = f"Its values are verdicts: {said}; of all rows {base:.1%} did."
    return Leak(column.feature.name, "verdict", text)


def filled(column: Column, base: float) -> Leak | None:
    """A column that is filled in, or left empty, for one outcome only."""
    there = _pooled(column.rows, column.wins, np.arange(len(column.rows)) != EMPTY)
    lacking = _pooled(column.rows, column.wins, np.arange(len(column.rows)) == EMPTY)
    if min(there.rows, lacking.rows) < 20:
        return None
    for part, other, name in ((there, lacking, "filled in"), (lacking, there, "empty")):
        won = part.low >= 0.9 and part.share >= 0.95
        lost = part.rows * base >= 20 and part.high <= base / 12
        if (won or lost) and _chance(part, base) < 1e-6:
            text = (
                f"Whether it is filled in decides: where it is {name}, {part.share:.1%} of "
                f"{part.rows:,.0f} leads converted, of the other {other.rows:,.0f} "
                f"{other.share:.1%}."
            )
            return Leak(column.feature.name, "filled", text)
    return None


def batches(columns: Sequence[Column], order: Codes | None) -> list[Leak]:
    """Scores and grades that came by stretches of the table, or in the rows of their neighbours."""
    blocks: dict[bytes, list[Column]] = {}
    for column in columns:
        empty = column.codes == EMPTY
        if 0.1 <= empty.mean() <= 0.9:
            blocks.setdefault(np.packbits(empty).tobytes(), []).append(column)
    leaks = []
    for block in blocks.values():
        empty = block[0].codes == EMPTY
        share = 1 - float(empty.mean())
        assessed = [c for c in block if _ASSESSED & set(_words(c.feature.name))]
        stretches = [1 - float(p.mean()) for p in _stretches(empty, order)]
        again = _filled_again(stretches)
        weighty = any(c.strength >= _BATCH_STRENGTH for c in block)
        if not (assessed and weighty and (again or len(assessed) >= 3)):
            continue
        for column in assessed:
            text = f"A score or grade, filled in {share:.1%} of the rows"
            if len(block) > 1:
                text += f", in exactly the same rows as {len(block) - 1} other columns"
            if again:
                low, high = min(stretches), max(stretches)
                text += f"; in some stretches of the table in {high:.0%}, in others in {low:.0%}"
            text += ": it came with a process of its own, not with the lead."
            leaks.append(Leak(column.feature.name, "batch", text))
    return leaks


def _stretches(empty: "np.ndarray[Any, Any]", order: Codes | None) -> "list[np.ndarray[Any, Any]]":
    return np.array_split(empty if order is None else empty[order], _STRETCHES)


def _filled_again(shares: Sequence[float]) -> bool:
    """Whether a column was filled, then not, then filled: no form field comes and goes so."""
    low = int(np.argmin(shares))
    before, after = shares[:low], shares[low + 1 :]
    return bool(before and after and shares[low] <= 0.2 and min(max(before), max(after)) >= 0.8)


def newest(column: Column) -> Leak | None:
    """A column that is named as the newest state and weighs."""
    name = column.feature.name
    if not _NEWEST.match(" ".join(_words(name))) or column.strength < _NEWEST_STRENGTH:
        return None
    text = (
        "Its name says that it holds the newest state, which goes on changing after the moment "
        f"to be scored; alone it reaches a ROC AUC of {column.strength:.3f}."
    )
    return Leak(name, "newest", text)


def later(frame: pd.DataFrame, exclude: Sequence[str], times: "pd.Series[Any]") -> list[Leak]:
    """Columns of times that are later than their row's."""
    moments = pd.to_datetime(times, utc=True).reset_index(drop=True)
    leaks = []
    for name, reason in infer_columns(frame, exclude)[1].items():
        if reason != "a date":
            continue
        values = pd.to_datetime(frame[name], errors="coerce", utc=True, format="mixed")
        values = values.reset_index(drop=True)
        # A date without an hour may be later than its row by less than a day.
        late = (values - moments) > pd.Timedelta(days=1)
        known = int(values.notna().sum())
        if known and late.sum() >= max(3, 0.01 * known):
            text = (
                f"Later than its row's time in {int(late.sum()):,} of {known:,} rows: it was not "
                "known at the moment to be scored."
            )
            leaks.append(Leak(name, "later", text))
    return leaks


@dataclass(frozen=True)
class _Share:
    """Conversions among leads, with a Wilson interval."""

    rows: float
    wins: float

    @property
    def share(self) -> float:
        return self.wins / self.rows if self.rows else 0.0

    @property
    def low(self) -> float:
        return self._bound(-1)

    @property
    def high(self) -> float:
        return self._bound(1)

    def _bound(self, side: int) -> float:
        if not self.rows:
            return 0.0 if side < 0 else 1.0
        z, n, p = 1.96, self.rows, self.share
        centre = p + z * z / (2 * n)
        width = z * np.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
        return float((centre + side * width) / (1 + z * z / n))


def _pooled(rows: Matrix, wins: Matrix, chosen: "np.ndarray[Any, Any]") -> _Share:
    return _Share(float(rows[chosen].sum()), float(wins[chosen].sum()))


def _chance(part: _Share, base: float) -> float:
    """How likely a share so far from the base rate is by chance: a binomial tail."""
    # Not scipy.stats, which takes seconds to import.
    from scipy.special import betainc

    if not part.rows:
        return 1.0
    if part.share > base:
        return float(betainc(part.wins, part.rows - part.wins + 1, base))
    return float(betainc(part.rows - part.wins, part.wins + 1, 1 - base))


def _values(column: Column, chosen: "np.ndarray[Any, Any]") -> str:
    if column.feature.kind == "boolean":
        return " or ".join(
            "yes" if code == len(chosen) - 1 else "no" for code in np.flatnonzero(chosen)
        )
    ranked = sorted(np.flatnonzero(chosen).tolist(), key=lambda code: -column.rows[code])
    names = [_spelling(column.feature, code) for code in ranked]
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return ", ".join(names[:3]) + more


def _spelling(feature: Feature, code: int) -> str:
    if code >= FIRST_LEVEL:
        return repr(feature.levels[code - FIRST_LEVEL])
    return "no choice" if code == PLACEHOLDER else "rare values"


def _words(name: str) -> list[str]:
    return _WORDS.findall(re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name).lower())
