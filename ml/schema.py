"""What the columns of a lead table are, and how rows become numbers.

The same rules read a CSV (all text) and a warehouse table (typed), a whole frame and one lead:
a schema is inferred once, on training rows, and travels with the model.
"""

import math
import re
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from decimal import Decimal
from functools import cached_property, lru_cache
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from leadengine.errors import LeadEngineError

Matrix = npt.NDArray[np.float64]
Kind = Literal["numeric", "boolean", "categorical"]

# Codes of a categorical column: an empty cell, a placeholder that nobody chose (the form field
# was shown), a value too rare or new to have a code of its own, then the levels.
EMPTY, PLACEHOLDER, OTHER, FIRST_LEVEL = 0, 1, 2, 3

MAX_LEVELS = 60
_MIN_LEVEL_ROWS = 5
_MIN_LEVEL_SHARE = 0.001

_PLACEHOLDERS = frozenset(
    {
        "n/a", "na", "#n/a", "none", "null", "nil", "nan", "-", "--", "---", "?", "unknown",
        "undefined", "unspecified", "(blank)", "(none)", "(unknown)", "tbd", "not specified",
        "not provided", "not set", "not available", "not applicable", "not chosen",
    }
)  # fmt: skip
_CHOOSE = re.compile(
    r"[-<(\[\s]*(please\s+)?(select|choose|pick)"
    r"(\s+(one|an?|any|your|the|option|options|value|item|answer|from|list|below|here))*"
    r"[-.…:>)\]\s]*"
)
_TRUE = frozenset({"1", "1.0", "true", "t", "yes", "y"})
_FALSE = frozenset({"0", "0.0", "false", "f", "no", "n"})
# As which a database gives a number; what else stands for one is read value by value.
_DATABASE_NUMBERS = frozenset({float, int})
_LARGEST = sys.float_info.max
_REMEMBERED = 1_000
_DATE = re.compile(r"\d{4}-\d{1,2}-\d{1,2}([ T].*)?|\d{1,2}[/.]\d{1,2}[/.]\d{2,4}([ ,].*)?")
_THOUSANDS = re.compile(r"[-+]?\d{1,3}(,\d{3})+(\.\d*)?")
_LEADING_ZERO = re.compile(r"0\d+")
_EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")
_WORDS = re.compile(r"[a-z]+|\d+")

# Whole names, not parts of them: "Do Not Email" is a useful flag, "Email" is a person's address.
_PERSONAL = frozenset(
    {
        "name", "full name", "first name", "last name", "middle name", "surname", "given name",
        "family name", "contact name", "lead name", "customer name", "firstname", "lastname",
        "fullname", "email", "e mail", "email address", "phone", "phone number", "telephone",
        "mobile", "mobile number", "mobile phone", "cell", "cell phone", "home phone",
        "work phone", "address", "street", "street address", "address 1", "address 2",
        "date of birth", "birth date", "birthday", "dob", "ssn", "ip", "ip address",
    }
)  # fmt: skip
_IDENTIFIER_WORDS = frozenset({"id", "ids", "number", "no", "nr", "key", "uuid", "guid", "index"})


class TableError(LeadEngineError):
    """A table does not have the columns or values that were asked of it."""


@dataclass(frozen=True)
class Feature:
    """One input of the model.

    Attributes:
        name: the column.
        kind: how its values are read.
        levels: a categorical's values that have a code of their own, normalised, most frequent
            first; level ``i`` has the code ``FIRST_LEVEL + i``.
    """

    name: str
    kind: Kind
    levels: tuple[str, ...] = ()

    @property
    def codes(self) -> int:
        """How many codes a categorical has."""
        return FIRST_LEVEL + len(self.levels)


@dataclass(frozen=True)
class Schema:
    """The features in the order of the matrix, and the columns left out with the reason."""

    features: tuple[Feature, ...]
    dropped: dict[str, str] = field(default_factory=dict)

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The features' names, in the order of the matrix."""
        return tuple(feature.name for feature in self.features)

    @property
    def categorical(self) -> list[int]:
        """Positions of the categorical features."""
        return [i for i, feature in enumerate(self.features) if feature.kind == "categorical"]

    def to_dict(self) -> dict[str, Any]:
        """As JSON holds it."""
        return {"features": [asdict(f) for f in self.features], "dropped": self.dropped}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "Schema":
        """The reverse of :meth:`to_dict`."""
        features = tuple(
            Feature(f["name"], f["kind"], tuple(f["levels"])) for f in data["features"]
        )
        return cls(features, dict(data["dropped"]))

    def check_columns(self, columns: Iterable[str], source: str) -> None:
        """Sees that every feature is there.

        Raises:
            TableError: names the features that ``source`` lacks.
        """
        present = set(columns)
        missing = [name for name in self.names if name not in present]
        if missing:
            raise TableError(
                f"{source} lacks {_listed(missing)} that the model was trained on.",
                remedy="Add the missing columns (empty cells are allowed), or train without them.",
            )

    def encode(self, frame: pd.DataFrame) -> Matrix:
        """Rows as numbers: NaN for a missing number or flag, a code for a category.

        Args:
            frame: has every feature; further columns are ignored.
        """
        matrix = np.empty((len(frame), len(self.features)), dtype=np.float64)
        for i, feature in enumerate(self.features):
            matrix[:, i] = encode_column(feature, frame[feature.name])
        return matrix

    def encode_row(self, values: Mapping[str, Any], source: str = "The lead") -> Matrix:
        """One lead as a matrix of one row, equal to what :meth:`encode` gives for it.

        Raises:
            TableError: names the features that ``source`` lacks.
        """
        try:
            # What a database gives for a number is read in place: a call for each takes as long
            # again as all the rest.
            row = [
                encode(values[name])
                if encode is not None
                else math.nan
                if (value := values[name]) is None
                else value + 0.0
                if type(value) in _DATABASE_NUMBERS and -_LARGEST <= value <= _LARGEST
                else parse_number(value)
                for name, encode in self._readers
            ]
        except KeyError:
            self.check_columns(values, source)
            raise
        return np.array([row], dtype=np.float64)

    @cached_property
    def _readers(self) -> list[tuple[str, Callable[[Any], float] | None]]:
        """Each feature's name and, unless it is a number, what reads its values.

        Few different ones come again and again, which are remembered; apart by type, since
        ``True`` and 1 are equal and not spelled alike.
        """
        return [
            (
                feature.name,
                None
                if feature.kind == "numeric"
                else lru_cache(_REMEMBERED, typed=True)(_encoder(feature)),
            )
            for feature in self.features
        ]


def encode_column(feature: Feature, column: "pd.Series[Any]") -> Matrix:
    """One column as numbers; each distinct value is read once."""
    typed = pd.api.types.is_bool_dtype(column.dtype) or pd.api.types.is_numeric_dtype(column.dtype)
    if feature.kind != "categorical" and typed:
        numbers = column.to_numpy(dtype=np.float64, na_value=np.nan)
        return _zero_or_one(numbers) if feature.kind == "boolean" else _finite(numbers)
    codes, distinct = pd.factorize(column, use_na_sentinel=True)
    encode = _encoder(feature)
    # The last place serves factorize's -1, the missing value.
    table = np.array([*(encode(value) for value in distinct), encode(None)], dtype=np.float64)
    return table[codes]


def _finite(numbers: Matrix) -> Matrix:
    """Numbers with NaN for what is infinite, and 0.0 for -0.0: equal vectors have equal bytes."""
    return np.where(np.isfinite(numbers), numbers, np.nan) + 0.0


def _zero_or_one(numbers: Matrix) -> Matrix:
    """Numbers with NaN for what is neither 0 nor 1."""
    return np.where((numbers == 0) | (numbers == 1), numbers, np.nan) + 0.0


def _encoder(feature: Feature) -> Callable[[Any], float]:
    """What reads one value of a feature."""
    if feature.kind == "numeric":
        return parse_number
    if feature.kind == "boolean":
        return parse_boolean
    codes = {level: FIRST_LEVEL + i for i, level in enumerate(feature.levels)}

    def code(value: Any) -> float:
        if is_empty(value):
            return EMPTY
        text = normalise(value)
        return PLACEHOLDER if is_placeholder(text) else codes.get(text, OTHER)

    return code


def is_empty(value: Any) -> bool:
    """Whether there is no value at all: None, NaN, NaT or blanks."""
    if value is None or value is pd.NaT or value is pd.NA:
        return True
    if isinstance(value, str):
        return not value.strip()
    return isinstance(value, float) and math.isnan(value)


def normalise(value: Any) -> str:
    """A category's spelling: lower case, single blanks (``Google`` and ``google`` are one)."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return " ".join(str(value).lower().split())


def is_placeholder(text: str) -> bool:
    """Whether a normalised text stands for no answer, as ``select`` or ``n/a`` do."""
    return text in _PLACEHOLDERS or _CHOOSE.fullmatch(text) is not None


def parse_number(value: Any) -> float:
    """A number, or NaN where there is none; reads ``1,200``, ``1,5``, ``$35.5`` and ``12 %``.

    A comma before every group of three digits separates thousands; a single other one is a
    decimal comma.
    """
    if isinstance(value, str):
        text = value.strip().strip("$€£%").strip()
        if "," in text:
            text = text.replace(",", "" if _THOUSANDS.fullmatch(text) else ".")
        try:
            number = float(text)
        except ValueError:
            return math.nan
    elif isinstance(value, (bool, int, float, Decimal, np.number, np.bool_)):
        number = float(value)
    else:
        return math.nan
    # Adding zero turns -0.0 into 0.0, so that equal vectors have equal bytes.
    return number + 0.0 if math.isfinite(number) else math.nan


def parse_boolean(value: Any) -> float:
    """1, 0, or NaN where it is neither."""
    if is_empty(value):
        return math.nan
    text = normalise(value)
    if text in _TRUE:
        return 1.0
    return 0.0 if text in _FALSE else math.nan


def infer_schema(frame: pd.DataFrame, exclude: Sequence[str] = ()) -> Schema:
    """Decides which columns are features and of which kind.

    Args:
        frame: training rows only, so that no level is known from rows that judge the model.
        exclude: columns that are no features (target, id, time, what the caller leaves out).

    Raises:
        TableError: no column is left that could be a feature.
    """
    features, dropped = infer_columns(frame, exclude)
    if not features:
        reasons = "; ".join(f"{name}: {reason}" for name, reason in list(dropped.items())[:5])
        raise TableError(
            f"No column can serve as a feature ({reasons or 'all are excluded'}).",
            remedy="Exclude fewer columns, or give a table with more of them.",
        )
    return Schema(tuple(features), dropped)


def infer_columns(
    frame: pd.DataFrame, exclude: Sequence[str] = ()
) -> tuple[list[Feature], dict[str, str]]:
    """The columns that are features, and those that are none with the reason."""
    features: list[Feature] = []
    dropped: dict[str, str] = {}
    for name in frame.columns:
        if name in exclude:
            continue
        found = _infer(str(name), frame[name])
        if isinstance(found, Feature):
            features.append(found)
        else:
            dropped[str(name)] = found
    return features, dropped


def _infer(name: str, column: "pd.Series[Any]") -> Feature | str:
    """The feature that a column is, or why it is none."""
    words = " ".join(_WORDS.findall(re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name).lower()))
    if words in _PERSONAL:
        return "personal data"
    if pd.api.types.is_datetime64_any_dtype(column.dtype):
        return "a date"
    if pd.api.types.is_numeric_dtype(column.dtype) and not pd.api.types.is_bool_dtype(column.dtype):
        return _infer_numbers(name, words, column)
    counts: dict[str, int] = {}
    empty = 0
    for value, count in column.value_counts(dropna=False).items():
        if is_empty(value) or is_placeholder(text := normalise(value)):
            empty += int(count)
        else:
            counts[text] = counts.get(text, 0) + int(count)
    filled = sum(counts.values())
    if not counts:
        return "no value in any row"
    if len(counts) == 1 and not empty:
        return "the same value in every row"
    if pd.api.types.is_bool_dtype(column.dtype) or counts.keys() <= (_TRUE | _FALSE):
        return Feature(name, "boolean")
    numeric = _numeric_share(counts, filled)
    unique = len(counts) == filled and filled >= 50
    if unique and (numeric < 1 or _counts_rows(words, column)):
        if _share(counts, filled, _DATE) > 0.9:
            return "a date"
        return "an identifier: every row has a value of its own"
    if numeric >= 0.98 and not any(map(_LEADING_ZERO.fullmatch, counts)):
        return Feature(name, "numeric")
    return _categorical(name, counts, filled)


def _infer_numbers(name: str, words: str, column: "pd.Series[Any]") -> Feature | str:
    """The same rules for a column that comes typed, without a look at each value's text."""
    numbers = encode_column(Feature(name, "numeric"), column)
    distinct = np.unique(numbers[~np.isnan(numbers)])
    filled = int(np.count_nonzero(~np.isnan(numbers)))
    if not filled:
        return "no value in any row"
    if len(distinct) == 1 and filled == len(numbers):
        return "the same value in every row"
    if np.isin(distinct, (0, 1)).all():
        return Feature(name, "boolean")
    if len(distinct) == filled >= 50 and _counts_rows(words, column):
        return "an identifier: every row has a value of its own"
    return Feature(name, "numeric")


def _categorical(name: str, counts: dict[str, int], filled: int) -> Feature | str:
    if _share(counts, filled, _EMAIL) > 0.9:
        return "personal data"
    if _share(counts, filled, _DATE) > 0.9:
        return "a date"
    least = max(_MIN_LEVEL_ROWS, math.ceil(_MIN_LEVEL_SHARE * filled))
    frequent = sorted(
        (text for text, count in counts.items() if count >= least),
        key=lambda text: (-counts[text], text),
    )[:MAX_LEVELS]
    covered = sum(counts[text] for text in frequent)
    if covered < 0.2 * filled and len(counts) > 50:
        return "free text: hardly a value comes twice"
    return Feature(name, "categorical", tuple(frequent))


def _numeric_share(counts: dict[str, int], filled: int) -> float:
    return sum(n for text, n in counts.items() if not math.isnan(parse_number(text))) / filled


def _share(counts: dict[str, int], filled: int, pattern: re.Pattern[str]) -> float:
    return sum(n for text, n in counts.items() if pattern.fullmatch(text)) / filled


def _counts_rows(words: str, column: "pd.Series[Any]") -> bool:
    """Whether a column of distinct numbers is a running number rather than a measure."""
    numbers = encode_column(Feature("", "numeric"), column)
    numbers = numbers[~np.isnan(numbers)]
    if not np.array_equal(numbers, np.floor(numbers)):
        return False
    steps = np.diff(numbers)
    named = not _IDENTIFIER_WORDS.isdisjoint(words.split())
    return named or bool(np.all(steps > 0) or np.all(steps < 0))


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(map(repr, names[:8]))
    more = f" and {len(names) - 8} more" if len(names) > 8 else ""
    return f"the column{'s' if len(names) > 1 else ''} {shown}{more}"
