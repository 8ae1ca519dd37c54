"""Types of the fields that we load: how each is read, and which column it becomes.

The providers' JSON is neither quite typed nor quite consistent: numbers arrive as text, times as
ISO 8601, RFC 2822 or epoch milliseconds, "nothing" as null, as an empty string or not at all. A
field's type says what is accepted; whatever it does not accept is a broken record, not a guess.
"""

import math
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from email.utils import parsedate_to_datetime
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field
from pydantic.alias_generators import to_camel

from warehouse.storable import storable_text

ColumnType = Literal["text", "timestamp", "bool", "bigint", "decimal", "json"]

SQL_TYPES: dict[ColumnType, str] = {
    "text": "text",
    "timestamp": "timestamptz",
    "bool": "boolean",
    "bigint": "bigint",
    "decimal": "numeric",
    "json": "jsonb",
}

EARLIEST = datetime(1990, 1, 1, tzinfo=UTC)
LATEST = datetime(2100, 1, 1, tzinfo=UTC)
_EPOCH_MILLISECONDS_FROM = 100_000_000_000  # as seconds this would be the year 5138
# A line that is only "\." ends a COPY before PostgreSQL 18, even within quotes.
_COPY_TERMINATOR = re.compile(r"^\\\.$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Column:
    """Marks a field as a column of this type."""

    data_type: ColumnType


def clean_text(value: str) -> str:
    """``value`` as PostgreSQL can hold it and read it from a COPY."""
    value = storable_text(value)
    if "\\." in value:
        value = _COPY_TERMINATOR.sub(r"\\. ", value)
    return value


def _read_text(value: Any) -> Any:
    if value is None or value == "":
        return None
    if isinstance(value, str):
        return clean_text(value) or None
    if isinstance(value, bool):
        raise ValueError("expected text")
    return str(value) if isinstance(value, int | float) else value


def _read_key(value: Any) -> Any:
    # An empty key stays empty, so that the complaint is about what the provider sent.
    return value if value == "" else _read_text(value)


def _read_lower(value: Any) -> Any:
    text = _read_text(value)
    return text.strip().lower() or None if isinstance(text, str) else text


def read_timestamp(value: Any) -> datetime | None:
    """An aware time in UTC from what the providers send; a time without a zone counts as UTC.

    Raises:
        ValueError: it is no time, or one outside of 1990 to 2100.
    """
    if value is None or value == "":
        return None
    if isinstance(value, bool):
        raise ValueError("expected a timestamp")
    if isinstance(value, int | float):
        if not math.isfinite(value):
            raise ValueError("expected a timestamp")
        seconds = value / 1000 if abs(value) >= _EPOCH_MILLISECONDS_FROM else value
        found = _within(lambda: datetime.fromtimestamp(seconds, UTC))
    elif isinstance(value, str):
        found = _parse_time(value.strip())
    elif isinstance(value, datetime):
        found = value
    else:
        raise ValueError("expected a timestamp")
    found = (
        found.replace(tzinfo=UTC)
        if found.tzinfo is None
        else _within(lambda: found.astimezone(UTC))
    )
    if not EARLIEST <= found < LATEST:
        raise ValueError("the timestamp is outside of 1990 to 2100")
    return found


def _parse_time(text: str) -> datetime:
    if text.isdigit() and len(text) in (10, 13):
        return _within(
            lambda: datetime.fromtimestamp(int(text[:10]) + int(text[10:] or 0) / 1e3, UTC)
        )
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        pass
    try:
        return parsedate_to_datetime(text)
    except (TypeError, ValueError, IndexError):
        raise ValueError("expected a timestamp") from None


def _within(compute: Any) -> datetime:
    try:
        result: datetime = compute()
    except (OverflowError, OSError, ValueError):
        raise ValueError("the timestamp is outside of 1990 to 2100") from None
    return result


def _blank_as_none(value: Any) -> Any:
    return None if value == "" else value


def _read_whole(value: Any) -> Any:
    """Durations arrive as ``"12"`` and as ``12.0``."""
    if isinstance(value, bool):
        raise ValueError("expected a whole number")
    if isinstance(value, str):
        value = value.strip() or None
    return value


def _read_json(value: Any) -> Any:
    if value is not None and not isinstance(value, dict | list):
        raise ValueError("expected an object or a list")
    return _clean_json(value)


def _clean_json(value: Any) -> Any:
    if isinstance(value, str):
        return clean_text(value)
    if isinstance(value, list):
        return [_clean_json(entry) for entry in value]
    if isinstance(value, dict):
        return {clean_text(str(key)): _clean_json(entry) for key, entry in value.items()}
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError("a number in it is not finite")
    return value


Key = Annotated[str, BeforeValidator(_read_key), Field(min_length=1), Column("text")]
"""Text that must be there."""
LowerKey = Annotated[str, BeforeValidator(_read_lower), Field(min_length=1), Column("text")]
Text = Annotated[str | None, BeforeValidator(_read_text), Column("text")]
LowerText = Annotated[str | None, BeforeValidator(_read_lower), Column("text")]
Timestamp = Annotated[datetime | None, BeforeValidator(read_timestamp), Column("timestamp")]
Known = Annotated[datetime, BeforeValidator(read_timestamp), Column("timestamp")]
"""A time that must be there: without it, nobody can say what was known when."""
Flag = Annotated[bool | None, BeforeValidator(_blank_as_none), Column("bool")]
Whole = Annotated[
    Annotated[int, Field(ge=-(2**63), lt=2**63)] | None,
    BeforeValidator(_read_whole),
    Column("bigint"),
]
Number = Annotated[
    Annotated[Decimal, Field(ge=-(10**15), le=10**15)] | None,
    BeforeValidator(_read_whole),
    Column("decimal"),
]
Json = Annotated[Any, BeforeValidator(_read_json), Column("json")]


class Record(BaseModel):
    """One row of a raw table: fields in the order of the columns, aliases as the provider says."""

    model_config = ConfigDict(
        alias_generator=to_camel, extra="ignore", frozen=True, validate_by_alias=True
    )

    known_from: ClassVar[tuple[str, ...]] = ()
    """Fields whose latest value tells when the provider had this version."""

    @classmethod
    def prepare(cls, payload: dict[str, Any]) -> dict[str, Any]:
        """Brings the provider's JSON into one flat object, before it is validated."""
        return payload

    @classmethod
    def column_types(cls) -> dict[str, ColumnType]:
        """Column names and types, in order."""
        return {
            name: next(mark.data_type for mark in field.metadata if isinstance(mark, Column))
            for name, field in cls.model_fields.items()
        }
