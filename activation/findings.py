"""What is wrong with a declared file: where, what, and what to do about it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True, order=True)
class Finding:
    """One fault in one place of a file.

    Args:
        file: the file's name within its folder.
        line: from 1.
        column: from 1.
        code: a short, stable name of the kind of fault.
        message: what is wrong, with the value.
        remedy: what to do about it.
        severity: an error keeps the file from being used; a warning does not.
    """

    file: str
    line: int
    column: int
    code: str
    message: str
    remedy: str
    severity: Literal["error", "warning"] = "error"

    def __str__(self) -> str:
        return f"{self.file}, line {self.line}, column {self.column}: {self.message}"


def errors_in(findings: Iterable[Finding]) -> list[Finding]:
    """The findings that keep a file from being used."""
    return [finding for finding in findings if finding.severity == "error"]
