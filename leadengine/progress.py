"""Progress of long steps: a bar on a terminal, a plain line elsewhere."""

from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic
from typing import Protocol

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
)

console = Console(stderr=True, highlight=False)


class Advance(Protocol):
    """Called with how many more units are done."""

    def __call__(self, done: int = 1) -> None:
        """Counts ``done`` more units as finished."""
        ...


@contextmanager
def progress(description: str, total: int | None = None) -> Iterator[Advance]:
    """Shows how far a step has come.

    On a terminal this is a live bar; in a pipe or a log it is one line at the end, with the
    count and the seconds taken. Yields a function to call as units are finished.
    """
    started = monotonic()
    counted = 0
    if console.is_terminal:
        columns = (
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
        )
        with Progress(*columns, console=console, transient=True) as bar:
            task = bar.add_task(description, total=total)

            def advance_bar(done: int = 1) -> None:
                nonlocal counted
                counted += done
                bar.advance(task, done)

            yield advance_bar
    else:

        def advance_count(done: int = 1) -> None:
            nonlocal counted
            counted += done

        yield advance_count
    number = f" {counted:,}" if counted else ""
    console.print(f"  {description}:{number} done in {monotonic() - started:.1f} s")
