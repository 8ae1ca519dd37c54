"""A flat lead table from a file: rows, ids, times and a binary outcome, or a clear error."""

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from leadengine.delimited import DelimitedFile, RejectedRow
from ml.schema import Matrix, TableError, is_empty, is_placeholder, normalise

_POSITIVE = frozenset({"1", "1.0", "true", "t", "yes", "y", "won", "converted"})
_NEGATIVE = frozenset({"0", "0.0", "false", "f", "no", "n", "lost", "not converted"})


@dataclass(frozen=True)
class FlatTable:
    """A whole file in memory.

    Attributes:
        path: where it came from.
        frame: the rows as text, in file order; the index counts from 0.
        lines: the line of the file on which each row begins.
        rejected: rows that are not in ``frame``, with the reason.
        digest: SHA-256 of the file's bytes.
    """

    path: Path
    frame: pd.DataFrame
    lines: "np.ndarray[Any, np.dtype[np.int64]]"
    rejected: tuple[RejectedRow, ...]
    digest: str

    def without(self, keep: "np.ndarray[Any, np.dtype[np.bool_]]", reason: str) -> "FlatTable":
        """The table without the rows where ``keep`` is false; they join the rejected."""
        gone = tuple(RejectedRow(int(line), reason) for line in self.lines[~keep])
        return FlatTable(
            self.path,
            self.frame[keep].reset_index(drop=True),
            self.lines[keep],
            self.rejected + gone,
            self.digest,
        )


def read_table(path: Path) -> FlatTable:
    """Reads a file whole.

    Raises:
        LeadEngineError: see :class:`leadengine.delimited.DelimitedFile`; also when most
            rows are broken.
    """
    file = DelimitedFile(path)
    frames: list[pd.DataFrame] = []
    lines: list[int] = []
    rejected: list[RejectedRow] = []
    for chunk in file.chunks():
        # Each chunk becomes compact strings at once; Python strings of a whole file would not fit.
        frames.append(pd.DataFrame(chunk.rows, columns=file.header, dtype="str"))
        lines += chunk.lines
        rejected += [RejectedRow(row.line, row.reason) for row in chunk.rejected]
    if len(rejected) > len(lines):
        example = rejected[0]
        raise TableError(
            f"{path}: {len(rejected)} of {len(rejected) + len(lines)} rows do not fit the header, "
            f"the first on line {example.line} ({example.reason}).",
            remedy="Check that the first line is the header and that quotes are closed.",
        )
    frame = pd.concat(frames, ignore_index=True)
    return FlatTable(path, frame, np.array(lines), tuple(rejected), file_digest(path))


def file_digest(path: Path) -> str:
    """SHA-256 of a file's bytes."""
    with path.open("rb") as raw:
        return hashlib.file_digest(raw, "sha256").hexdigest()


def check_named(path: Path, header: Sequence[str], role: str, names: Sequence[str]) -> None:
    """Sees that the columns a person named exist.

    Raises:
        TableError: names those that do not, and the nearest that do.
    """
    unknown = [name for name in names if name not in header]
    if not unknown:
        return
    near = [n for name in unknown for n in get_close_matches(name, header, n=1, cutoff=0.5)]
    hint = f"Did you mean {', '.join(map(repr, near))}? " if near else ""
    raise TableError(
        f"{path} has no column {', '.join(map(repr, unknown))} ({role}).",
        remedy=f"{hint}Its columns are: {', '.join(header)}.",
    )


def read_outcome(table: FlatTable, target: str) -> tuple[FlatTable, Matrix]:
    """The rows with a known outcome, and the outcome as 0 or 1.

    Rows without one are set aside as rejected: an outcome is never guessed.

    Raises:
        TableError: the column is empty, not binary, or holds one outcome only.
    """
    texts = [
        "" if is_empty(value) or is_placeholder(text := normalise(value)) else text
        for value in table.frame[target]
    ]
    where = f"The target column {target!r} of {table.path}"
    counts = Counter(text for text in texts if text)
    if not counts:
        raise TableError(
            f"{where} is empty in all {len(texts)} rows.",
            remedy="Fill it with 1 for leads that converted and 0 for the others.",
        )
    odd = [text for text in counts if text not in _POSITIVE | _NEGATIVE]
    if odd:
        line = table.lines[texts.index(odd[0])]
        if len(counts) == 2:
            raise TableError(
                f"{where} holds {' and '.join(map(repr, counts))}, which do not say which of them "
                "is a conversion.",
                remedy="Recode it to 1 and 0 (yes/no, true/false and won/lost are read too).",
            )
        shown = ", ".join(repr(text) for text in list(counts)[:5])
        raise TableError(
            f"{where} is not binary: it holds {len(counts)} different values ({shown}"
            f"{', …' if len(counts) > 5 else ''}), such as {odd[0]!r} on line {line}.",
            remedy="Recode it to 1 and 0 (yes/no and true/false are read too), or name another.",
        )
    if counts.keys() <= _POSITIVE or counts.keys() <= _NEGATIVE:
        raise TableError(
            f"{where} holds one outcome only ({next(iter(counts))!r} in {counts.total()} rows).",
            remedy="Give a table with leads that converted and leads that did not.",
        )
    known = np.array([bool(text) for text in texts])
    label = np.array([float(text in _POSITIVE) for text in texts if text])
    return table.without(known, f"no outcome in {target!r}"), label


def read_times(table: FlatTable, label: Matrix, name: str) -> "tuple[FlatTable, Matrix, Any]":
    """The rows with a readable time, their outcome, and the time as UTC timestamps.

    Times without a zone count as UTC. Rows without a readable time are set aside.

    Raises:
        TableError: most rows have none.
    """
    times = pd.to_datetime(table.frame[name], errors="coerce", utc=True, format="mixed")
    known = times.notna().to_numpy()
    if known.sum() * 2 < len(known):
        line = table.lines[int(np.argmin(known))]
        raise TableError(
            f"The time column {name!r} of {table.path} can be read in {int(known.sum())} of "
            f"{len(known)} rows only; the first that cannot is on line {line}.",
            remedy="Write times as 2024-05-31 or 2024-05-31T14:00:00Z, or name another column.",
        )
    kept = table.without(known, f"no readable time in {name!r}")
    return kept, label[known], times[known].reset_index(drop=True)
