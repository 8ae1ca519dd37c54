"""Reading delimited text strictly: what does not fit is named by line, never guessed.

The csv module is used rather than a data-frame reader because those pad short rows, drop long
ones or stop at the first bad one, and none tells the line.
"""

import csv
import gzip
import io
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from leadengine.errors import LeadEngineError

DELIMITERS = (",", ";", "\t", "|")
# How many of the first rows are compared with the header to find a second one.
_LOOK_AHEAD = 20
_OTHER_FORMATS = {
    b"PK\x03\x04": "an Excel workbook or a zip archive",
    b"\xd0\xcf\x11\xe0": "an old Excel workbook",
    b"PAR1": "a Parquet file",
    b"%PDF": "a PDF",
}


class FileFormatError(LeadEngineError):
    """A file cannot be read as a table; names the file and the line where there is one."""


@dataclass(frozen=True)
class RejectedRow:
    """A row that is not used, and why.

    Attributes:
        line: line of the file, from 1, header included.
        reason: what is wrong, without the row's values.
    """

    line: int
    reason: str
    fields: list[str] = field(default_factory=list, repr=False)


@dataclass
class Chunk:
    """Some rows in file order: ``lines[i]`` is where ``rows[i]`` begins."""

    lines: list[int] = field(default_factory=list)
    rows: list[list[str]] = field(default_factory=list)
    rejected: list[RejectedRow] = field(default_factory=list)


class DelimitedFile:
    """A delimited text file with one header row; gzip is read directly.

    Args:
        path: comma, semicolon, tab or bar separated; UTF-8, with or without a byte order mark.

    Attributes:
        header: the column names, stripped; a nameless column is called ``column_<n>``.
        delimiter: as found in the header.

    Raises:
        FileFormatError: no such file, unreadable, empty, not text, not UTF-8, header names twice,
            or two header rows.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        _check_readable(path)
        try:
            with self._open() as lines:
                first = next((line for line in lines if line.strip()), None)
        except UnicodeDecodeError as error:
            raise self._not_utf8() from error
        except (EOFError, gzip.BadGzipFile, OSError) as error:
            raise self._damaged(error) from error
        if first is None:
            raise FileFormatError(
                f"{path} is empty.", remedy="Give a file with a header row and data rows."
            )
        # The delimiter that occurs most outside quotes; commas win a tie.
        outside = "".join(first.split('"')[::2])
        self.delimiter = max(DELIMITERS, key=outside.count)
        self._header_line, self.header, self._has_blank_names = self._read_header()
        self._check_names()
        self._check_single_header()

    def chunks(self, size: int = 20_000) -> Iterator[Chunk]:
        """The data rows, at most ``size`` at a time, each stripped of outer blanks.

        Rows whose number of fields differs from the header's, or with a stray quote, come as
        ``rejected``. Blank lines are skipped.

        Raises:
            FileFormatError: not UTF-8, damaged gzip, a quote that is never closed, no data rows.
        """
        width = len(self.header)
        folded = [name.casefold() for name in self.header]
        chunk, seen = Chunk(), False
        for line, row in self._records():
            if line <= self._header_line:
                continue
            seen = True
            if isinstance(row, str):
                chunk.rejected.append(RejectedRow(line, row))
            elif len(row) != width:
                chunk.rejected.append(
                    RejectedRow(line, f"{len(row)} fields where the header has {width}", row)
                )
            else:
                cells = [cell.strip() for cell in row]
                if cells[0].casefold() == folded[0] and _repeats(cells, folded):
                    chunk.rejected.append(RejectedRow(line, "repeats the header row", row))
                else:
                    chunk.lines.append(line)
                    chunk.rows.append(cells)
            if len(chunk.rows) + len(chunk.rejected) >= size:
                yield chunk
                chunk = Chunk()
        if not seen:
            raise FileFormatError(
                f"{self.path} has a header row but no data rows.",
                remedy="Give a file with at least one row below the header.",
            )
        if chunk.rows or chunk.rejected:
            yield chunk

    def _open(self) -> io.TextIOWrapper:
        return io.TextIOWrapper(_open_bytes(self.path), encoding="utf-8-sig", newline="")

    def _records(self) -> Iterator[tuple[int, list[str] | str]]:
        """Each non-blank record with the line it begins on; a string says why it is broken."""
        try:
            with self._open() as text:
                reader = csv.reader(text, delimiter=self.delimiter, strict=True)
                while True:
                    line = reader.line_num + 1
                    try:
                        row = next(reader)
                    except StopIteration:
                        return
                    except csv.Error as error:
                        if "unexpected end of data" in str(error) or "field limit" in str(error):
                            raise FileFormatError(
                                f"{self.path}: a quote opened in the row that begins on line "
                                f"{line} is never closed.",
                                remedy="Close or remove the quote on that line.",
                            ) from error
                        yield line, f"a stray quote or line break ({error})"
                        continue
                    if any(cell.strip() for cell in row):
                        yield line, row
        except UnicodeDecodeError as error:
            raise self._not_utf8() from error
        except (EOFError, gzip.BadGzipFile, OSError) as error:
            raise self._damaged(error) from error

    def _read_header(self) -> tuple[int, list[str], bool]:
        for line, row in self._records():
            if isinstance(row, str):
                raise FileFormatError(
                    f"{self.path}: the header on line {line} has {row}.",
                    remedy="Mend the quotes in the header.",
                )
            names = [name.strip() for name in row]
            filled = [name or f"column_{n}" for n, name in enumerate(names, start=1)]
            return line, filled, not all(names)
        raise FileFormatError(
            f"{self.path} is empty.", remedy="Give a file with a header row and data rows."
        )

    def _check_names(self) -> None:
        twice = [name for name, count in Counter(self.header).items() if count > 1]
        if not twice:
            return
        second = next(iter(self._head(1)), [])
        names = len(set(second)) == len(second) and all(second)
        if second and names and not any(map(_is_number, second)):
            raise FileFormatError(
                f"{self.path} seems to have two header rows: line {self._header_line} repeats "
                f"{twice[0]!r}, and the next line holds names of its own.",
                remedy="Keep the one header row that names each column.",
            )
        raise FileFormatError(
            f"{self.path}: the header names {', '.join(map(repr, twice))} more than once.",
            remedy="Give each column a name of its own.",
        )

    def _check_single_header(self) -> None:
        head = self._head(_LOOK_AHEAD)
        if not head:
            return
        second, rest = head[0], head[1:]
        same = _repeats(second, [name.casefold() for name in self.header])
        # A second row of names or units: words where every other row has a number.
        numeric = [
            i
            for i in range(len(self.header))
            if len(rest) >= 2 and _all_numbers([row[i] for row in rest])
        ]
        words = len(numeric) > 0 and all(
            second[i] and not _is_number(second[i]) and any(map(str.isalpha, second[i]))
            for i in numeric
        )
        # One column of words may be a stray value; in every one of several it is a header, and
        # so it is below a header that leaves names out.
        if same or (words and (len(numeric) >= 2 or self._has_blank_names)):
            raise FileFormatError(
                f"{self.path} has two header rows: the row below the header on line "
                f"{self._header_line} holds names, not data ({', '.join(second[:3])}, …).",
                remedy="Keep one header row and delete the other.",
            )

    def _head(self, count: int) -> list[list[str]]:
        rows: list[list[str]] = []
        for line, row in self._records():
            if line > self._header_line and not isinstance(row, str):
                if len(row) == len(self.header):
                    rows.append([cell.strip() for cell in row])
                if len(rows) == count:
                    break
        return rows

    def _not_utf8(self) -> FileFormatError:
        where = ""
        with _open_bytes(self.path) as raw:
            for number, line in enumerate(raw, start=1):
                try:
                    line.decode("utf-8")
                except UnicodeDecodeError:
                    where = f" (first on line {number})"
                    break
        return FileFormatError(
            f"{self.path} is not UTF-8 text{where}.",
            remedy="Save it as UTF-8, for instance: iconv -f WINDOWS-1252 -t UTF-8 FILE.",
        )

    def _damaged(self, error: Exception) -> FileFormatError:
        return FileFormatError(
            f"{self.path} cannot be read to its end: {error}.",
            remedy="Copy or export the file again.",
        )


def _check_readable(path: Path) -> None:
    if not path.exists():
        raise FileFormatError(f"There is no file {path}.", remedy="Check the path.")
    if path.is_dir():
        raise FileFormatError(f"{path} is a folder.", remedy="Give the path of one file.")
    try:
        with path.open("rb") as raw:
            start = raw.read(4)
    except OSError as error:
        raise FileFormatError(
            f"{path} cannot be read: {error.strerror}.", remedy="Check its permissions."
        ) from error
    if not start:
        raise FileFormatError(
            f"{path} is empty.", remedy="Give a file with a header row and data rows."
        )
    for magic, what in _OTHER_FORMATS.items():
        if start.startswith(magic):
            raise FileFormatError(
                f"{path} is {what}, not delimited text.", remedy="Export it as CSV in UTF-8."
            )


def _open_bytes(path: Path) -> BinaryIO:
    """The file's bytes, unpacked when it begins as gzip does, whatever its name."""
    raw = path.open("rb")
    zipped = raw.read(2) == b"\x1f\x8b"
    raw.seek(0)
    if not zipped:
        return raw
    raw.close()
    return gzip.open(path, "rb")  # type: ignore[return-value]


def _repeats(cells: Sequence[str], folded_header: Sequence[str]) -> bool:
    """Whether a row says mostly the same as the header."""
    same = sum(cell.casefold() == name for cell, name in zip(cells, folded_header, strict=True))
    return same * 3 >= len(folded_header) * 2


def _is_number(text: str) -> bool:
    try:
        float(text.replace(",", ""))
    except ValueError:
        return False
    return True


def _all_numbers(cells: Sequence[str]) -> bool:
    filled = [cell for cell in cells if cell]
    return len(filled) >= 2 and all(map(_is_number, filled))
