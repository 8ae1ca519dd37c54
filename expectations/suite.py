"""The suites as written in ``suites/*.yaml``, read and checked."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import yaml

from leadengine.errors import LeadEngineError

SUITES_DIR = Path(__file__).parent / "suites"

Severity = Literal["blocking", "warning"]
Kind = Literal[
    "not_null", "unique", "one_of", "matches", "between", "within_history", "not_before", "refers",
    "rows_at_least", "mean_between", "distinct_share", "steady", "filled", "schema", "set_aside",
    "volume",
]  # fmt: skip

_IMPORT = "raw_import.leads"

# What each kind that can be written needs besides its column.
_OPTIONS: dict[Kind, set[str]] = {
    "not_null": set(),
    "one_of": {"values"},
    "matches": {"pattern", "what"},
    "between": {"min", "max"},
    "within_history": set(),
    "not_before": {"other"},
    "refers": {"to", "column"},
    "rows_at_least": set(),
    "mean_between": {"min", "max"},
    "distinct_share": {"min"},
    "steady": set(),
    "filled": set(),
}


@dataclass(frozen=True)
class Rule:
    """One thing that must hold of a table.

    Attributes:
        kind: what is asked.
        columns: of which columns; none where it is asked of the table.
        severity: a ``blocking`` rule that does not hold stops what is built upon the table.
        mostly: share of rows (that have a value) for which it must hold.
        options: what the kind needs besides, such as ``values``.
    """

    kind: Kind
    columns: tuple[str, ...]
    severity: Severity = "blocking"
    mostly: float = 1.0
    options: dict[str, Any] | None = None

    def option(self, name: str) -> Any:
        """The option ``name``."""
        return (self.options or {})[name]


@dataclass(frozen=True)
class Suite:
    """The rules of one raw table, ``schema.table``."""

    table: str
    rules: tuple[Rule, ...]


def load_suites(folder: Path = SUITES_DIR) -> dict[str, Suite]:
    """Every suite, by table.

    Raises:
        LeadEngineError: a file says something that cannot be a rule.
    """
    suites: dict[str, Suite] = {}
    for path in sorted(folder.glob("*.yaml")):
        for table, written in yaml.safe_load(path.read_text(encoding="utf-8")).items():
            suites[table] = Suite(table, _rules(f"{path.name}: {table}", written))
    return suites


def _rules(where: str, written: dict[str, Any]) -> tuple[Rule, ...]:
    key = tuple(written["key"])
    rules = [Rule("schema", (), options={"columns": dict(written["columns"])})]
    if not where.endswith(f": {_IMPORT}"):
        # A file is loaded once, and says itself what it rejected.
        rules += [Rule("set_aside", ()), Rule("volume", (), "warning")]
    rules += [Rule("not_null", (column,)) for column in key]
    rules.append(Rule("unique", key))
    # The two clocks that everything downstream goes by.
    rules += [Rule("not_null", (column,)) for column in ("_loaded_at", "_known_at")]
    rules.append(Rule("not_before", ("_loaded_at",), options={"other": "_known_at"}))
    rules += [_rule(where, dict(entry)) for entry in written.get("rules", [])]
    return tuple(rules)


def _rule(where: str, entry: dict[str, Any]) -> Rule:
    severity = entry.pop("severity", "blocking")
    mostly = float(entry.pop("mostly", 1.0))
    kinds = [kind for kind in _OPTIONS if kind in entry]
    if len(kinds) != 1 or set(entry) - set(kinds) != _OPTIONS[kinds[0]]:
        raise LeadEngineError(
            f"{where}: {entry} is not a rule",
            remedy=f"Write one of {', '.join(_OPTIONS)} with the options it needs.",
        )
    if severity not in get_args(Severity) or not 0 < mostly <= 1:
        raise LeadEngineError(
            f"{where}: {entry} has severity {severity!r} and mostly {mostly}",
            remedy="severity is blocking or warning, mostly is above 0 and at most 1.",
        )
    (kind,) = kinds
    target = entry.pop(kind)
    if kind == "rows_at_least":
        return Rule(kind, (), severity, options={"rows": int(target)})
    return Rule(kind, (str(target),), severity, mostly, entry)
