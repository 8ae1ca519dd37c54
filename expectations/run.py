"""Runs the suites as SQL against the database."""

import importlib
import logging
import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from expectations.messages import broken, failure
from expectations.suite import Rule, Suite, load_suites
from leadengine.errors import LeadEngineError
from warehouse.database import Database

SUITES = load_suites()
SUITE_TABLES: tuple[str, ...] = tuple(SUITES)

_EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)
_CLOCK_SKEW = timedelta(days=1)


@dataclass(frozen=True)
class SuiteResult:
    """How one table's suite went.

    Attributes:
        table: ``schema.table``.
        success: no blocking rule failed.
        failures: a sentence for each blocking rule that does not hold.
        evaluated: number of rules that were asked; 0 for a table that is not there and need not be.
        warnings: a sentence for each other rule that does not hold.
    """

    table: str
    success: bool
    failures: list[str]
    evaluated: int
    warnings: list[str] = field(default_factory=list)


def validate_raw(database: Database, tables: Iterable[str] | None = None) -> list[SuiteResult]:
    """Validates raw tables, each as a whole.

    A table that does not exist passes, unless it is one that must have rows: a provider that is
    not connected has no tables.

    Args:
        database: where the raw tables are.
        tables: ``schema.table`` names; None for every table that has a suite.

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
    with _Validator(database) as validator:
        return [
            validator.validate(SUITES[table]) if table in existing else _absent(SUITES[table])
            for table in wanted
        ]


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

    def __init__(self, database: Database) -> None:
        self._url = database.sqlalchemy_url("psycopg2")

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
        self._source = context.data_sources.add_postgres("warehouse", connection_string=self._url)
        return self

    def __exit__(self, *_: object) -> None:
        # It keeps one engine to test connections with, and one to evaluate with.
        self._source.get_engine().dispose()
        self._source.get_execution_engine().close()

    def validate(self, suite: Suite) -> SuiteResult:
        schema, name = suite.table.split(".")
        asset = self._source.add_table_asset(suite.table, table_name=name, schema_name=schema)
        batch = asset.add_batch_definition_whole_table("all").get_batch()
        asked = []
        for place, rule in enumerate(suite.rules):
            class_name, arguments = _asked(rule)
            kind = getattr(self._expectations, class_name)
            # Results come in an order of their own.
            asked.append(kind(**arguments, meta={"rule": place}))
        found = batch.validate(
            self._gx.ExpectationSuite(suite.table, asked), result_format="SUMMARY"
        )
        results = sorted(found.results, key=lambda result: _place(result))
        failed = [(suite.rules[_place(result)], result) for result in results if not result.success]
        blocking = [_sentence(r, result) for r, result in failed if r.severity == "blocking"]
        return SuiteResult(
            suite.table,
            success=not blocking,
            failures=blocking,
            evaluated=len(results),
            warnings=[_sentence(r, result) for r, result in failed if r.severity == "warning"],
        )


def _place(result: Any) -> int:
    return int(result.expectation_config.meta["rule"])


def _sentence(rule: Rule, result: Any) -> str:
    raised = _raised(result.exception_info or {})
    return broken(rule, raised) if raised is not None else failure(rule, result.result)


def _raised(info: dict[str, Any]) -> str | None:
    """The message of what an expectation raised; it comes flat, or by metric."""
    entries = [info, *(value for value in info.values() if isinstance(value, dict))]
    for entry in entries:
        if entry.get("raised_exception"):
            return str(entry.get("exception_message") or "")
    return None


def _asked(rule: Rule) -> tuple[str, dict[str, Any]]:
    """The Great Expectations class that asks for ``rule``, and what it is asked with."""
    column = rule.columns[0] if rule.columns else ""
    each = {"column": column, "mostly": rule.mostly}
    match rule.kind:
        case "not_null":
            return "ExpectColumnValuesToNotBeNull", each
        case "unique" if len(rule.columns) > 1:
            return "ExpectCompoundColumnsToBeUnique", {"column_list": list(rule.columns)}
        case "unique":
            return "ExpectColumnValuesToBeUnique", each
        case "one_of":
            return "ExpectColumnValuesToBeInSet", each | {"value_set": rule.option("values")}
        case "matches":
            return "ExpectColumnValuesToMatchRegex", each | {"regex": rule.option("pattern")}
        case "between":
            bounds = {"min_value": rule.option("min"), "max_value": rule.option("max")}
            return "ExpectColumnValuesToBeBetween", each | bounds
        case "within_history":
            bounds = {"min_value": _EARLIEST, "max_value": datetime.now(UTC) + _CLOCK_SKEW}
            return "ExpectColumnValuesToBeBetween", each | bounds
        case "not_before":
            return "ExpectColumnPairValuesAToBeGreaterThanB", {
                "column_A": column,
                "column_B": rule.option("other"),
                "or_equal": True,
                "ignore_row_if": "either_value_is_missing",
                "mostly": rule.mostly,
            }
        case "refers":
            # Names from our own YAML; the batch stands for the table.
            query = (
                f"select {column} from {{batch}} where {column} is not null and {column} not in"  # noqa: S608
                f" (select {rule.option('column')} from {rule.option('to')})"
            )
            return "UnexpectedRowsExpectation", {"unexpected_rows_query": query}
        case "rows_at_least":
            return "ExpectTableRowCountToBeBetween", {"min_value": rule.option("rows")}
