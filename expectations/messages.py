"""What is wrong with a table, in a sentence; never with a value that could be personal."""

from typing import Any

from expectations.suite import Rule

_MOST_SHOWN = 3


def failure(rule: Rule, result: dict[str, Any]) -> str:
    """Says how ``rule`` does not hold.

    Args:
        rule: the rule.
        result: Great Expectations' figures for it.
    """
    if rule.kind == "rows_at_least":
        return (
            f"the table has {result['observed_value']} rows, "
            f"expected at least {rule.option('rows')}"
        )
    names = ", ".join(rule.columns)
    if rule.kind == "refers":
        return (
            f"{names}: {_rows(result['observed_value'])} not in "
            f"{rule.option('to')}.{rule.option('column')}"
        )
    count, total = result["unexpected_count"], result["element_count"]
    if rule.kind != "not_null":
        total -= result.get("missing_count") or 0
    text = f"{names}: {count} of {total} rows {_complaint(rule, result)}"
    if rule.mostly < 1:
        text += f", expected at most {1 - rule.mostly:.0%}"
    return text


def broken(rule: Rule, exception: str) -> str:
    """Says that ``rule`` could not be asked at all."""
    names = ", ".join(rule.columns) or "the table"
    lines = exception.strip().splitlines()
    return f"{names}: {rule.kind} could not be evaluated ({lines[0] if lines else 'no reason'})"


def _complaint(rule: Rule, result: dict[str, Any]) -> str:
    match rule.kind:
        case "not_null":
            return "have no value"
        case "unique":
            return "share their key with another row"
        case "one_of":
            found = sorted({str(value)[:40] for value in result["partial_unexpected_list"]})
            shown = ", ".join(found[:_MOST_SHOWN])
            return f"are none of {', '.join(rule.option('values'))} (found {shown})"
        case "matches":
            return f"do not {rule.option('what')}"
        case "between":
            return f"are not between {rule.option('min')} and {rule.option('max')}"
        case "within_history":
            return "lie before the year 2000 or in the future"
        case "not_before":
            return f"are before {rule.option('other')}"
        case _:
            return f"break {rule.kind}"


def _rows(count: int) -> str:
    return "1 row is" if count == 1 else f"{count} rows are"
