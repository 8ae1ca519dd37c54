"""The raw tables: what loads them, their columns, keys and cursors.

This is the one list that the loader, the tests and the asset graph read.
"""

from dataclasses import dataclass
from datetime import timedelta
from typing import Literal, LiteralString, get_args

from ingestion.fields import SQL_TYPES, ColumnType, Record
from ingestion.records import apollo, ghl, sendgrid, twilio

Source = Literal["ghl", "twilio", "sendgrid", "apollo"]
SOURCES: tuple[Source, ...] = get_args(Source)

DEFAULT_OVERLAP = timedelta(days=2)
DAILY = timedelta(days=1)

OWN_COLUMNS: dict[str, ColumnType] = {
    "_loaded_at": "timestamp",
    "_known_at": "timestamp",
    "_backfill": "bool",
    "_row_hash": "text",
}


@dataclass(frozen=True)
class TableSpec:
    """One raw table.

    Attributes:
        source: the provider.
        table: its name within ``raw_<source>``.
        record: the class that names the columns and validates a record.
        primary_key: columns that identify a row; all of them text.
        cursor: the column whose newest value the next load continues from; None when every load
            reads the whole list, which is then small.
        full_every: how often everything is read in spite of the cursor; None for never.
        overlap: how far behind the cursor the next load begins, to catch rows that come late.
        lookup: an SQL expression that single rows are looked up by beside the primary key.
    """

    source: Source
    table: str
    record: type[Record]
    primary_key: tuple[str, ...] = ("location_id", "id")
    cursor: str | None = None
    overlap: timedelta = DEFAULT_OVERLAP
    full_every: timedelta | None = None
    lookup: LiteralString | None = None

    @property
    def schema(self) -> str:
        """The schema, ``raw_<source>``."""
        return f"raw_{self.source}"

    @property
    def qualified(self) -> str:
        """``schema.table``."""
        return f"{self.schema}.{self.table}"

    @property
    def description(self) -> str:
        """What a row is, in a sentence or two."""
        return " ".join((self.record.__doc__ or "").split())

    @property
    def column_types(self) -> dict[str, ColumnType]:
        """All columns in order, the loader's own last."""
        return self.record.column_types() | OWN_COLUMNS

    @property
    def sql_types(self) -> dict[str, str]:
        """All columns with their PostgreSQL types."""
        return {name: SQL_TYPES[kind] for name, kind in self.column_types.items()}

    @property
    def per_location(self) -> bool:
        """Whether it is loaded location by location."""
        return self.source == "ghl"


TABLES: tuple[TableSpec, ...] = (
    TableSpec("ghl", "locations", ghl.Location),
    TableSpec("ghl", "users", ghl.User),
    TableSpec("ghl", "pipelines", ghl.Pipeline),
    TableSpec("ghl", "calendars", ghl.Calendar),
    TableSpec("ghl", "workflows", ghl.Workflow),
    TableSpec("ghl", "custom_fields", ghl.CustomField),
    TableSpec("ghl", "contacts", ghl.Contact, cursor="date_updated"),
    TableSpec("ghl", "messages", ghl.Message, cursor="date_updated"),
    TableSpec("ghl", "opportunities", ghl.Opportunity, cursor="updated_at"),
    TableSpec("ghl", "appointments", ghl.Appointment, cursor="date_updated", full_every=DAILY),
    TableSpec("ghl", "tasks", ghl.Task),
    TableSpec("ghl", "transcriptions", ghl.Transcription),
    TableSpec("ghl", "contact_tombstones", ghl.ContactTombstone, ("location_id", "contact_id")),
    TableSpec("twilio", "messages", twilio.SmsMessage, ("sid",), "date_updated"),
    TableSpec("twilio", "calls", twilio.Call, ("sid",), "start_time"),
    TableSpec("twilio", "recordings", twilio.Recording, ("sid",), "date_created"),
    TableSpec("sendgrid", "suppressions", sendgrid.Suppression, ("kind", "email"), "created_at"),
    TableSpec(
        "sendgrid",
        "email_activity",
        sendgrid.EmailActivity,
        ("msg_id",),
        "last_event_time",
        lookup="split_part(msg_id, '.', 1)",
    ),
    TableSpec("apollo", "people", apollo.Person, ("email",)),
)


def tables_of(source: Source) -> tuple[TableSpec, ...]:
    """The tables of one provider, in the order they are loaded."""
    return tuple(spec for spec in TABLES if spec.source == source)


def table(schema: str, name: str) -> TableSpec:
    """The table ``schema.name``.

    Raises:
        KeyError: there is none of that name.
    """
    for spec in TABLES:
        if (spec.schema, spec.table) == (schema, name):
            return spec
    raise KeyError(f"{schema}.{name}")
