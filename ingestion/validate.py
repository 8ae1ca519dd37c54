"""Telling a record from a broken one, and saying what is wrong without repeating what it holds."""

from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from ingestion.fields import Record

_MAX_KEY_LENGTH = 200
_MAX_FIELDS_NAMED = 3


@dataclass(frozen=True, slots=True)
class Rejection:
    """Why a record was not loaded.

    Attributes:
        row_key: the provider's id, where the record has a usable one.
        reason: names the field, what it should be and the kind of value it has; never the value.
        payload: the record as it came.
    """

    row_key: str | None
    reason: str
    payload: Any


def validate(
    record: type[Record], payload: Any, context: dict[str, Any] | None = None
) -> dict[str, Any] | Rejection:
    """The row that a provider's record becomes, or why it becomes none.

    Args:
        record: the entity's class.
        payload: the provider's JSON.
        context: fields that the caller knows, such as ``{"locationId": ...}``. A record that
            contradicts one of them is broken: it belongs to somebody else.
    """
    if not isinstance(payload, dict):
        return Rejection(None, f"the record is {_kind(payload)}, expected an object", payload)
    known = context or {}
    for name, value in known.items():
        if value is not None and payload.get(name) not in (None, "", value):
            return Rejection(
                _row_key(payload), f"{name}: belongs to another {name.removesuffix('Id')}", payload
            )
    try:
        model = record.model_validate(record.prepare({**payload, **known}))
    except ValidationError as error:
        return Rejection(_row_key(payload), _reason(error), payload)
    # Not model_dump(): the fields are flat, and their values are used as they are.
    return dict(model.__dict__)


def _reason(error: ValidationError) -> str:
    found = error.errors(include_url=False, include_context=False)
    parts = []
    for entry in found[:_MAX_FIELDS_NAMED]:
        name = ".".join(str(part) for part in entry["loc"]) or "record"
        what = entry["msg"].removeprefix("Value error, ")
        got = "it is missing" if entry["type"] == "missing" else f"got {_kind(entry['input'])}"
        parts.append(f"{name}: {what} ({got})")
    if len(found) > _MAX_FIELDS_NAMED:
        parts.append(f"and {len(found) - _MAX_FIELDS_NAMED} more fields")
    return "; ".join(parts)


def _kind(value: Any) -> str:
    if value is None:
        return "null"
    if value == "":
        return "empty text"
    names = {
        str: "text", bool: "a boolean", int: "a number", float: "a number",
        dict: "an object", list: "a list",
    }  # fmt: skip
    return names.get(type(value), f"a {type(value).__name__}")


def _row_key(payload: dict[str, Any]) -> str | None:
    for name in ("id", "sid", "msg_id", "email"):
        value = payload.get(name)
        if isinstance(value, str | int) and not isinstance(value, bool) and value != "":
            return str(value)[:_MAX_KEY_LENGTH]
    return None
