"""What a benchmark reports: measures beside their floors, the machine, and their tables."""

import os
import platform
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks import pages


@dataclass
class Measure:
    """One line of the table.

    Attributes:
        name: what was timed.
        value: how long it took.
        floor: the least that it could take, measured in the same run.
        floor_name: what that floor is.
        unit: of both.
        aim: what the value should stay under, in words.
    """

    name: str
    value: float
    floor: float
    floor_name: str
    unit: str = "s"
    aim: str = ""

    @property
    def ratio(self) -> float:
        """How many times the floor."""
        return self.value / self.floor

    def cells(self) -> tuple[str, ...]:
        """As it is shown."""
        return (
            self.name, f"{self.value:.2f} {self.unit}", f"{self.floor:.2f} {self.unit}",
            f"{self.ratio:.1f}", self.floor_name, self.aim,
        )  # fmt: skip


HEADINGS = ("what", "took", "floor", "ratio", "the floor is", "aim")


def machine() -> dict[str, Any]:
    """The machine, and how busy it was with other things when the benchmark began."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return {
        "cores": os.cpu_count(),
        "memory_gib": round(memory),
        "load_before": round(os.getloadavg()[0], 1),
        "python": platform.python_version(),
    }


def print_table(console: Console, title: str, measures: Sequence[Measure]) -> None:
    """The one table."""
    table = Table(title=title)
    for heading in HEADINGS:
        is_number = heading in {"took", "floor", "ratio"}
        table.add_column(heading, justify="right" if is_number else "left")
    for one in measures:
        table.add_row(*one.cells())
    console.print(table)


def markdown(title: str, measures: Sequence[Measure], remarks: Sequence[str] = ()) -> str:
    """The same for a page: a sentence, the table, further sentences."""
    rows = [list(one.cells()) for one in measures]
    return "\n\n".join([f"{title}.", pages.table(list(HEADINGS), rows), " ".join(remarks)])
