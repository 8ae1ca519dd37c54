"""Raw tables as the loader makes them, filled by hand or from the simulated brokerage."""

import datetime as dt
from collections.abc import Iterable, Mapping
from typing import Any

import psycopg
from psycopg import sql
from psycopg.types.json import Jsonb

from ingestion.tables import TABLES, TableSpec, table
from ingestion.validate import Rejection, validate
from ingestion.versions import Versions
from providers.sandbox.simulation import Brokerage
from warehouse.copy import copy_rows

Row = dict[str, Any]

_TABLE_OF_KIND = {
    "contact": "contacts",
    "message": "messages",
    "opportunity": "opportunities",
    "appointment": "appointments",
    "task": "tasks",
}


def create_raw_tables(connection: psycopg.Connection) -> None:
    """Makes every raw table, empty; ``raw_import.leads`` comes with the migration."""
    for spec in TABLES:
        connection.execute(
            sql.SQL("create table if not exists {} ({}, primary key ({}))").format(
                sql.Identifier(spec.schema, spec.table),
                sql.SQL(", ").join(
                    sql.SQL("{} {}").format(sql.Identifier(name), sql.SQL(kind))
                    for name, kind in spec.sql_types.items()
                ),
                sql.SQL(", ").join(map(sql.Identifier, spec.primary_key)),
            )
        )


def insert(
    connection: psycopg.Connection,
    qualified: str,
    rows: Iterable[Mapping[str, Any]],
    *,
    known_at: dt.datetime | None = None,
) -> int:
    """Adds hand-written rows; what a row leaves out is null, its clocks are ``known_at``.

    Args:
        connection: in whose transaction.
        qualified: ``schema.table``.
        rows: columns with Python values; lists and objects become jsonb.
        known_at: for rows that name no ``_known_at``; default: the moment of the call.
    """
    known_at = known_at or dt.datetime.now(dt.UTC)
    defaults: Row = {
        "_loaded_at": known_at,
        "_known_at": known_at,
        "_backfill": False,
    }
    if qualified != "raw_import.leads":
        defaults["_row_hash"] = "by hand"
    filled = [defaults | dict(row) for row in rows]
    columns = sorted({name for row in filled for name in row})
    return copy_rows(
        connection,
        qualified,
        columns,
        ([_adapt(row.get(name)) for name in columns] for row in filled),
    )


def load_brokerage(
    connection: psycopg.Connection, brokerage: Brokerage, until: dt.datetime
) -> dict[str, int]:
    """Loads what the CRM shows at ``until``, as a first full load at that moment would.

    Returns:
        Rows by table.
    """
    counts: dict[str, int] = {}
    fixed = {
        "locations": brokerage.locations,
        "users": [
            user | {"locationId": location}
            for user in brokerage.users
            for location in user["roles"]["locationIds"]
        ],
        "pipelines": brokerage.pipelines,
        "calendars": brokerage.calendars,
        "workflows": brokerage.workflows,
        "custom_fields": brokerage.custom_fields,
    }
    for name, payloads in fixed.items():
        counts[name] = _load(connection, table("raw_ghl", name), payloads, until)
    newest: dict[tuple[str, str, str], dict[str, Any] | None] = {}
    for record in brokerage.records:
        if record.known_at > until:
            break
        newest[record.kind, record.location_id, record.id] = record.payload
    for kind, name in _TABLE_OF_KIND.items():
        payloads = [
            payload
            for (found, _, _), payload in newest.items()
            if found == kind and payload is not None
        ]
        counts[name] = _load(connection, table("raw_ghl", name), payloads, until)
    connection.execute("analyze")
    return counts


def _load(
    connection: psycopg.Connection,
    spec: TableSpec,
    payloads: Iterable[Mapping[str, Any]],
    loaded_at: dt.datetime,
) -> int:
    versions = Versions(spec.record.known_from, spec.primary_key, backfill=True)
    rows = [
        row
        for payload in payloads
        if not isinstance(row := validate(spec.record, payload), Rejection)
    ]
    columns = list(spec.sql_types)
    return copy_rows(
        connection,
        spec.qualified,
        columns,
        ([_adapt(row[name]) for name in columns] for row in versions.changed(rows, {}, loaded_at)),
    )


def _adapt(value: Any) -> Any:
    return Jsonb(value) if isinstance(value, dict | list) else value
