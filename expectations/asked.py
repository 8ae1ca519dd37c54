"""What Great Expectations is asked for each rule: one of its classes, or a query of ours."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from string import Template
from typing import Any

from expectations.suite import Rule

_SQL_DIR = Path(__file__).parent / "sql"
_EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)
_CLOCK_SKEW = timedelta(days=1)

# Half the sum of the differences in shares that a week may show before it is said.
_STEADY_LIMIT = 0.3

# Those whose rows say themselves, in the column "complaint", what is wrong.
_QUERIES = {
    "schema", "set_aside", "volume", "steady", "filled", "mean_between", "distinct_share",
}  # fmt: skip


def asked(table: str, rule: Rule) -> tuple[str, dict[str, Any]]:
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
            return "ExpectColumnValuesToBeBetween", each | _bounds(rule)
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
        case "rows_at_least":
            return "ExpectTableRowCountToBeBetween", {"min_value": rule.option("rows")}
        case _:
            return "UnexpectedRowsExpectation", {"unexpected_rows_query": query(table, rule)}


def is_query(rule: Rule) -> bool:
    """Whether ``rule`` is a query whose rows say themselves, in ``complaint``, what is wrong."""
    return rule.kind in _QUERIES


def query(table: str, rule: Rule) -> str:
    """The SQL whose rows break ``rule``; ``{batch}`` stands for the table.

    Names and values come from our own YAML, never from the data.
    """
    column = rule.columns[0] if rule.columns else ""
    if rule.kind == "refers":
        return (
            f"select {column} from {{batch}} where {column} is not null and {column} not in"  # noqa: S608
            f" (select {rule.option('column')} from {rule.option('to')})"
        )
    source, _, entity = table.removeprefix("raw_").partition(".")
    names = {"table": table, "source": source, "entity": entity}
    match rule.kind:
        case "schema":
            columns = rule.option("columns").items()
            names["columns"] = ", ".join(f"('{name}', '{kind}')" for name, kind in columns)
        case "steady":
            names |= {"column": column, "value": column, "limit": str(_STEADY_LIMIT)}
        case "mean_between":
            names |= {"column": column, "low": str(rule.option("min"))}
            names["high"] = str(rule.option("max"))
        case "distinct_share":
            names |= {"column": column, "low": str(rule.option("min"))}
        case "filled":
            value = f"{column} is not null"
            names |= {"column": column, "value": value, "limit": str(_STEADY_LIMIT)}
    file = "steady" if rule.kind == "filled" else rule.kind
    return Template((_SQL_DIR / f"{file}.sql").read_text(encoding="utf-8")).substitute(names)


def _bounds(rule: Rule) -> dict[str, Any]:
    return {"min_value": rule.option("min"), "max_value": rule.option("max")}
