"""dbt, run in this process on a database of the test's own."""

import json
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from dbt.cli.main import dbtRunner

from tests.dbt_project.rendering import PROJECT
from warehouse.database import Database

_BUILD_ONLY = ("build", "--resource-type", "model", "--resource-type", "snapshot")


@dataclass(frozen=True)
class DbtRun:
    """What a command did.

    Attributes:
        success: nothing failed.
        statuses: by the node's name, such as ``pass``, ``success``, ``warn`` or ``fail``.
        messages: what dbt said about nodes that did not do well, by name.
        warnings: warnings of dbt itself, such as deprecations.
    """

    success: bool
    statuses: dict[str, str]
    messages: dict[str, str]
    warnings: list[str]


@contextmanager
def unmeasured() -> Iterator[None]:
    """Without coverage's trace: dbt runs none of our Python, and would take two thirds longer."""
    here, threads = sys.gettrace(), threading.gettrace()
    sys.settrace(None)
    threading.settrace(None)  # type: ignore[arg-type]  # None is what it takes to set none
    try:
        yield
    finally:
        sys.settrace(here)
        threading.settrace(threads)  # type: ignore[arg-type]


def run_dbt(
    database: Database, target: Path, *arguments: str, snapshots: bool = True, **variables: Any
) -> DbtRun:
    """Runs a dbt command against ``database``.

    Args:
        database: migrated, with raw tables.
        target: a folder for what dbt writes.
        arguments: the command and its options; ``run`` builds without testing.
        snapshots: whether ``run`` makes snapshots too, as a build does; dbt's own makes none.
        variables: overrides of the project's variables.
    """
    if arguments[:1] == ("run",) and snapshots:
        arguments = (*_BUILD_ONLY, *arguments[1:])
    warnings: list[str] = []

    def listen(event: Any) -> None:
        if event.info.level == "warn":
            warnings.append(event.info.msg)

    with unmeasured(), pytest.MonkeyPatch.context() as patch:
        for name, value in database.dbt_env().items():
            patch.setenv(name, value)
        result = dbtRunner(callbacks=[listen]).invoke(
            ["--log-level", "none", "--log-path", str(target / "logs"), "--no-use-colors",
             *arguments,
             "--project-dir", str(PROJECT), "--profiles-dir", str(PROJECT),
             "--target-path", str(target), "--vars", json.dumps(variables)]
        )  # fmt: skip
    if result.exception is not None:
        raise result.exception
    nodes = getattr(result.result, "results", [])
    return DbtRun(
        success=result.success,
        statuses={found.node.name: str(found.status) for found in nodes},
        messages={
            found.node.name: str(found.message)
            for found in nodes
            if str(found.status) not in {"pass", "success", "no-op"}
        },
        warnings=warnings,
    )
