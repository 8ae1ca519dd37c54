"""Runs the suites as SQL against the database."""

import importlib
import logging
import os
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from expectations.asked import asked, is_query, query
from expectations.messages import broken, failure
from expectations.pages import Pages
from expectations.suite import Rule, Suite, load_suites
from leadengine.errors import LeadEngineError
from warehouse.database import Database

SUITES = load_suites()
SUITE_TABLES: tuple[str, ...] = tuple(SUITES)


@dataclass(frozen=True)
class SuiteResult:
    """How one table's suite went.

    Attributes:
        table: ``schema.table``.
        success: no blocking rule failed.
        failures: a sentence for each blocking rule that does not hold.
        evaluated: number of rules that were asked; 0 for a table that is not there and need not be.
        warnings: a sentence for each other rule that does not hold.
        page: the table's page of the Data Docs; None where none was asked for.
    """

    table: str
    success: bool
    failures: list[str]
    evaluated: int
    warnings: list[str] = field(default_factory=list)
    page: Path | None = None


def validate_raw(
    database: Database, tables: Iterable[str] | None = None, docs: Path | None = None
) -> list[SuiteResult]:
    """Validates raw tables, each as a whole.

    A table that does not exist passes, unless it is one that must have rows: a provider that is
    not connected has no tables.

    Args:
        database: where the raw tables are.
        tables: ``schema.table`` names; None for every table that has a suite.
        docs: folder for Data Docs of these tables, begun at its ``index.html``; None for none.

    Returns:
        One result a table, in the order asked for.

    Raises:
        LeadEngineError: a table has no suite.
    """
    wanted = SUITE_TABLES if tables is None else tuple(tables)
    unknown = sorted(set(wanted) - set(SUITES))
    if unknown:
        raise LeadEngineError(
            f"There are no expectations for {', '.join(unknown)}",
            remedy=f"Choose from {', '.join(SUITE_TABLES)}.",
        )
    existing = _existing(database, wanted)
    if not existing:
        return [_absent(SUITES[table]) for table in wanted]
    with _Validator(database, docs) as validator:
        results = [
            validator.validate(SUITES[table]) if table in existing else _absent(SUITES[table])
            for table in wanted
        ]
        pages = validator.pages.build() if validator.pages is not None else {}
    return [replace(result, page=pages.get(result.table)) for result in results]


def _existing(database: Database, tables: Iterable[str]) -> set[str]:
    with database.connect() as connection:
        return {
            name
            for name in tables
            if connection.execute("select to_regclass(%s)", (name,)).fetchone() != (None,)
        }


def _absent(suite: Suite) -> SuiteResult:
    needed = any(r.kind == "rows_at_least" and r.severity == "blocking" for r in suite.rules)
    failures = ["the table is missing: nothing has been loaded into it"] if needed else []
    return SuiteResult(suite.table, success=not needed, failures=failures, evaluated=0)


class _Validator:
    """Great Expectations in memory, on one database."""

    def __init__(self, database: Database, docs: Path | None) -> None:
        self._database = database
        self._docs = docs
        self.pages: Pages | None = None

    def __enter__(self) -> "_Validator":
        # Before the import, which takes seconds and is therefore not at the top either.
        os.environ["GX_ANALYTICS_ENABLED"] = "false"
        self._gx: Any = importlib.import_module("great_expectations")
        self._expectations: Any = importlib.import_module("great_expectations.expectations")
        base: Any = importlib.import_module("great_expectations.data_context.types.base")
        logging.getLogger("great_expectations").setLevel(logging.ERROR)
        context = self._gx.get_context(mode="ephemeral")
        context.enable_analytics(enable=False)
        context.variables.progress_bars = base.ProgressBarsConfig(globally=False)
        self._source = context.data_sources.add_postgres(
            "warehouse", connection_string=self._database.sqlalchemy_url("psycopg2")
        )
        if self._docs is not None:
            self.pages = Pages(context, self._docs)
        return self

    def __exit__(self, *_: object) -> None:
        # It keeps one engine to test connections with, and one to evaluate with.
        self._source.get_engine().dispose()
        self._source.get_execution_engine().close()

    def validate(self, suite: Suite) -> SuiteResult:
        schema, name = suite.table.split(".")
        asset = self._source.add_table_asset(suite.table, table_name=name, schema_name=schema)
        batch = asset.add_batch_definition_whole_table("all").get_batch()
        kinds = []
        for place, rule in enumerate(suite.rules):
            class_name, arguments = asked(suite.table, rule)
            kind = getattr(self._expectations, class_name)
            # Results come in an order of their own.
            kinds.append(kind(**arguments, meta={"rule": place, "severity": rule.severity}))
        expectations = self._gx.ExpectationSuite(suite.table, kinds)
        found = batch.validate(expectations, result_format="SUMMARY")
        failed = [
            (suite.rules[_place(result)], result)
            for result in sorted(found.results, key=_place)
            if not result.success
        ]
        sentences: dict[str, list[str]] = {"blocking": [], "warning": []}
        for rule, result in failed:
            sentences[rule.severity] += self._sentences(suite.table, rule, result)
        if self.pages is not None:
            self.pages.add(suite.table, batch.id, expectations, found)
        return SuiteResult(
            suite.table,
            success=not sentences["blocking"],
            failures=sentences["blocking"],
            evaluated=len(found.results),
            warnings=sentences["warning"],
        )

    def _sentences(self, table: str, rule: Rule, result: Any) -> list[str]:
        raised = _raised(result.exception_info or {})
        if raised is not None:
            return [broken(rule, raised)]
        if not is_query(rule):
            return [failure(rule, result.result)]
        # It said how many rows there are; the rows are sentences.
        with self._database.connect() as connection:
            rows = connection.execute(query(table, rule).replace("{batch}", table).encode())
            return [str(complaint) for (complaint,) in rows]


def _place(result: Any) -> int:
    return int(result.expectation_config.meta["rule"])


def _raised(info: dict[str, Any]) -> str | None:
    """The message of what an expectation raised; it comes flat, or by metric."""
    entries = [info, *(value for value in info.values() if isinstance(value, dict))]
    for entry in entries:
        if entry.get("raised_exception"):
            return str(entry.get("exception_message") or "")
    return None
