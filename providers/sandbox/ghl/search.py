"""HighLevel's advanced search: filters, sorting and paging over documents."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from providers.sandbox.chance import time_millis
from providers.sandbox.ghl.common import is_time, refuse, unprocessable
from providers.sandbox.index import KeyIndex
from providers.sandbox.wire import Json, Refusal

Test = Callable[[Json], bool]
_TIME_FIELDS = {"dateAdded", "dateUpdated", "createdAt", "updatedAt", "lastStatusChangeAt"}
_ALIASES = {"date_added": "dateAdded", "date_updated": "dateUpdated", "contact_id": "contactId"}
_DEPTH = 10_000


def field_of(document: Json, name: str) -> Any:
    """A field by its search name; ``customFields.<id>`` and dotted names reach inside."""
    if name == "firstNameLowerCase" or name == "lastNameLowerCase":
        return str(document.get(name.removesuffix("LowerCase")) or "").lower()
    if name.startswith("customFields."):
        wanted = name.removeprefix("customFields.")
        entries = document.get("customFields")
        for entry in entries if isinstance(entries, list) else ():
            if entry["id"] == wanted:
                return entry.get("value", entry.get("fieldValue"))
        return None
    value: Any = document
    for part in name.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    return value


def make_filter(filters: Any, *, path: str = "filters") -> Test:
    """A test from the ``filters`` of a body: all of them, groups by their ``group``.

    Raises:
        Refusal: 422, a filter has not the form of one.
    """
    if not isinstance(filters, list):
        raise unprocessable([f"{path} must be an array"])
    tests = [_one(entry, f"{path}.{n}") for n, entry in enumerate(filters)]
    return lambda document: all(test(document) for test in tests)


def _one(entry: Any, path: str) -> Test:
    if not isinstance(entry, dict):
        raise unprocessable([f"{path} must be an object"])
    if "group" in entry:
        group = entry["group"]
        inner = entry.get("filters")
        if group not in ("AND", "OR") or not isinstance(inner, list):
            raise unprocessable([f"{path}.group must be one of the following values: AND, OR"])
        tests = [_one(e, f"{path}.filters.{n}") for n, e in enumerate(inner)]
        if group == "AND":
            return lambda document: all(test(document) for test in tests)
        return lambda document: any(test(document) for test in tests)
    name, operator, value = entry.get("field"), entry.get("operator"), entry.get("value")
    if not isinstance(name, str) or not name:
        raise unprocessable([f"{path}.field should not be empty"])
    name = _ALIASES.get(name, name)
    if operator == "range":
        return _range(name, value, path)
    make = _OPERATORS.get(str(operator))
    if make is None:
        raise unprocessable(
            [f"{path}.operator must be one of the following values: {', '.join(_OPERATORS)}, range"]
        )
    return make(name, value)


def _range(name: str, value: Any, path: str) -> Test:
    if not isinstance(value, dict) or not value or set(value) - {"gt", "gte", "lt", "lte"}:
        raise unprocessable([f"{path}.value must be an object with gt, gte, lt or lte"])
    bounds = {k: _comparable(name, v, path) for k, v in value.items()}

    def test(document: Json) -> bool:
        have = field_of(document, name)
        if have is None or have == "":
            return False
        try:
            number = _comparable(name, have, path)
            return (
                ("gt" not in bounds or number > bounds["gt"])
                and ("gte" not in bounds or number >= bounds["gte"])
                and ("lt" not in bounds or number < bounds["lt"])
                and ("lte" not in bounds or number <= bounds["lte"])
            )
        except Refusal:  # a broken row is in no range
            return False

    return test


def _comparable(name: str, value: Any, path: str) -> float:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    if is_time(value) and (name in _TIME_FIELDS or not str(value).isdigit()):
        return float(time_millis(value))
    try:
        return float(value)
    except (TypeError, ValueError):
        raise unprocessable([f"{path}.value must hold numbers or dates"]) from None


def _same(have: Any, value: Any) -> bool:
    if isinstance(have, list):
        return any(_same(item, value) for item in have)
    if isinstance(have, bool) or isinstance(value, bool):
        return bool(have == value) or str(have).lower() == str(value).lower()
    return str(have).lower() == str(value).lower() if have is not None else value is None


def _equals(name: str, value: Any) -> Test:
    options = value if isinstance(value, list) else [value]
    return lambda document: any(_same(field_of(document, name), v) for v in options)


def _contains(name: str, value: Any) -> Test:
    options = value if isinstance(value, list) else [value]

    def test(document: Json) -> bool:
        have = field_of(document, name)
        texts = have if isinstance(have, list) else [have]
        return any(str(o).lower() in str(t or "").lower() for o in options for t in texts)

    return test


def _exists(name: str, _value: Any) -> Test:
    return lambda document: field_of(document, name) not in (None, "", [], {})


def _not(make: Callable[[str, Any], Test]) -> Callable[[str, Any], Test]:
    def made(name: str, value: Any) -> Test:
        test = make(name, value)
        return lambda document: not test(document)

    return made


_OPERATORS: dict[str, Callable[[str, Any], Test]] = {
    "eq": _equals,
    "not_eq": _not(_equals),
    "contains": _contains,
    "not_contains": _not(_contains),
    "exists": _exists,
    "not_exists": _not(_exists),
}


def sort_of(body: Json, allowed: dict[str, str]) -> tuple[str, bool]:
    """The field to sort by and whether downwards; HighLevel's default is newest added first.

    Args:
        body: its ``sort`` is a list of ``{"field", "direction"}``; the first counts.
        allowed: search names and the document's names of the fields.
    """
    sort = body.get("sort")
    if not sort:
        return next(iter(allowed.values())), True
    first = sort[0] if isinstance(sort, list) else None
    if not isinstance(first, dict) or first.get("field") not in allowed:
        listed = ", ".join(allowed)
        raise unprocessable([f"sort.0.field must be one of the following values: {listed}"])
    direction = first.get("direction", "asc")
    if direction not in ("asc", "desc"):
        raise unprocessable(["sort.0.direction must be one of the following values: asc, desc"])
    return allowed[first["field"]], direction == "desc"


def time_window(filters: Any, name: str) -> tuple[int | None, int | None]:
    """The narrowest time range that top-level filters put on ``name``, for the index."""
    low: int | None = None
    high: int | None = None
    for entry in filters if isinstance(filters, list) else ():
        if not isinstance(entry, dict) or entry.get("operator") != "range":
            continue
        if _ALIASES.get(str(entry.get("field")), entry.get("field")) != name:
            continue
        value = entry.get("value")
        if not isinstance(value, dict):
            continue
        for key, bound in value.items():
            number = int(_comparable(name, bound, "filters"))
            if key in ("gt", "gte"):
                low = number if low is None else max(low, number)
            else:
                high = number if high is None else min(high, number)
    return low, high


def page_by_time(
    index: KeyIndex,
    documents: Callable[[str], Json],
    body: Json,
    field: str,
    *,
    descending: bool,
    limit: int,
    test: Test | None,
) -> tuple[list[tuple[list[Any], Json]], int]:
    """One page in the order of a time index.

    Returns:
        The documents with their ``searchAfter`` values, and how many match in all.
    """
    low, high = time_window(body.get("filters"), field)
    cursor = body.get("searchAfter")
    after = None
    if cursor:
        if not isinstance(cursor, list) or len(cursor) != 2:
            raise unprocessable(["searchAfter must hold the two values of the last contact"])
        try:
            after = (int(cursor[0]), str(cursor[1]))
        except (TypeError, ValueError):
            raise unprocessable(["searchAfter.0 must be a number"]) from None
    skip = 0 if after else _skip(body, limit)
    first, last = index.bounds(low, high)
    if test is None:
        total = max(0, last - first)
    else:
        matching = (documents(i) for i in index.walk(low=low, high=high))
        total = sum(1 for document in matching if test(document))
    rows: list[tuple[list[Any], Json]] = []
    for key in index.walk_keys(descending=descending, after=after, low=low, high=high):
        document = documents(key[1])
        if test is not None and not test(document):
            continue
        if skip:
            skip -= 1
            continue
        rows.append((list(key), document))
        if len(rows) == limit:
            break
    return rows, total


def page_by_field(
    documents: Iterable[Json], body: Json, field: str, *, descending: bool, limit: int
) -> tuple[list[tuple[list[Any], Json]], int]:
    """One page in the order of any field, sorted for this request."""
    keyed = sorted(
        ((str(field_of(d, field) or "").lower(), d["id"], d) for d in documents),
        key=lambda row: row[:2],
        reverse=descending,
    )
    total = len(keyed)
    cursor = body.get("searchAfter")
    if cursor:
        if not isinstance(cursor, list) or len(cursor) != 2:
            raise unprocessable(["searchAfter must hold the two values of the last contact"])
        after = (str(cursor[0]), str(cursor[1]))
        keyed = [r for r in keyed if (r[:2] < after if descending else r[:2] > after)]
    else:
        keyed = keyed[_skip(body, limit) :]
    return [([text, name], document) for text, name, document in keyed[:limit]], total


def _skip(body: Json, limit: int) -> int:
    page: Any = body.get("page", 1)
    if isinstance(page, bool) or not isinstance(page, int) or page < 1:
        raise unprocessable(["page must not be less than 1"])
    if page * limit > _DEPTH:
        raise refuse(400, f"Only the first {_DEPTH} records can be paged; use searchAfter")
    return int(page - 1) * limit
