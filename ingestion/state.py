"""What the database knows of earlier loads.

Cursors live in ``ops.load_runs`` and not in dlt's own state: a row is written there only after the
load it belongs to has been committed, so a load that was killed half-way is simply read again, and
the records that had arrived already are recognised by their digests.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import psycopg
from psycopg import sql

from ingestion.tables import TableSpec

Key = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class LoadState:
    """Where the next load of a table (of a location) begins.

    Attributes:
        cursor: newest provider time that earlier loads saw, in UTC; None reads everything.
        backfill: whether nothing was loaded before.
        last_full: when everything was last read, in UTC.
    """

    cursor: datetime | None
    backfill: bool
    last_full: datetime | None


def load_state(
    connection: psycopg.Connection, spec: TableSpec, location_id: str | None
) -> LoadState:
    """Reads the state of one table, for one location where it is loaded by location."""
    row = connection.execute(
        """
        select max(cursor::timestamptz), coalesce(sum(rows_loaded), 0), count(*),
            max(started_at) filter (where full_load)
        from ops.load_runs
        where source = %s and entity = %s and location_id is not distinct from %s
        """,
        (spec.source, spec.table, location_id),
    ).fetchone()
    cursor, loaded, runs, last_full = row or (None, 0, 0, None)
    # Somebody may have dropped or emptied the raw table: then it is a first load again.
    if runs == 0 or (loaded > 0 and not has_rows(connection, spec, location_id)):
        return LoadState(cursor=None, backfill=True, last_full=None)
    return LoadState(cursor=cursor, backfill=False, last_full=last_full)


def is_up_to_date(connection: psycopg.Connection, spec: TableSpec) -> bool:
    """Whether the table exists with every column of ``spec``."""
    found = {
        name
        for (name,) in connection.execute(
            "select column_name from information_schema.columns "
            "where table_schema = %s and table_name = %s",
            (spec.schema, spec.table),
        )
    }
    return found >= set(spec.column_types)


def exists(connection: psycopg.Connection, spec: TableSpec) -> bool:
    """Whether the table is there."""
    row = connection.execute("select to_regclass(%s)", (spec.qualified,)).fetchone()
    return row is not None and row[0] is not None


def has_rows(connection: psycopg.Connection, spec: TableSpec, location_id: str | None) -> bool:
    """Whether the table is there and holds anything (of the location)."""
    if not exists(connection, spec):
        return False
    condition = sql.SQL("" if location_id is None else "where location_id = %(location_id)s")
    row = connection.execute(
        sql.SQL("select exists (select from {} {})").format(_table(spec), condition),
        {"location_id": location_id},
    ).fetchone()
    return bool(row and row[0])


def stored_hashes(
    connection: psycopg.Connection, spec: TableSpec, keys: Sequence[Key]
) -> dict[Key, str]:
    """The digests of the rows with these primary keys, where there are such rows."""
    columns = sql.SQL(", ").join(map(sql.Identifier, spec.primary_key))
    arrays = sql.SQL(", ").join([sql.SQL("%s::text[]")] * len(spec.primary_key))
    query = sql.SQL(
        "select {columns}, _row_hash from {table} "
        "where ({columns}) in (select * from unnest({arrays}))"
    ).format(columns=columns, table=_table(spec), arrays=arrays)
    parameters = [[key[place] for key in keys] for place in range(len(spec.primary_key))]
    return {tuple(row[:-1]): row[-1] for row in connection.execute(query, parameters)}


def ensure_indexes(connection: psycopg.Connection, specs: Iterable[TableSpec]) -> None:
    """Gives each table a unique index on its primary key; dlt makes none."""
    for spec in specs:
        connection.execute(
            sql.SQL("create unique index if not exists {} on {} ({})").format(
                sql.Identifier(f"{spec.table}_key"),
                _table(spec),
                sql.SQL(", ").join(map(sql.Identifier, spec.primary_key)),
            )
        )
        if spec.lookup is not None:
            connection.execute(
                sql.SQL("create index if not exists {} on {} ({})").format(
                    sql.Identifier(f"{spec.table}_lookup"), _table(spec), sql.SQL(spec.lookup)
                )
            )


def record_runs(connection: psycopg.Connection, runs: Iterable[Mapping[str, object]]) -> None:
    """Writes one row per load to ``ops.load_runs``; the caller commits."""
    with connection.cursor() as cursor:
        cursor.executemany(
            """
            insert into ops.load_runs
                (source, entity, location_id, started_at, finished_at,
                 rows_loaded, rows_quarantined, cursor, full_load)
            values
                (%(source)s, %(entity)s, %(location_id)s, %(started_at)s, %(finished_at)s,
                 %(rows_loaded)s, %(rows_quarantined)s, %(cursor)s, %(full_load)s)
            """,
            [dict(run) for run in runs],
        )


def _table(spec: TableSpec) -> sql.Identifier:
    return sql.Identifier(spec.schema, spec.table)
