"""Bulk loading through COPY."""

from collections.abc import Iterable, Sequence
from typing import Any

import psycopg
from psycopg import sql


def copy_rows(
    connection: psycopg.Connection,
    table: str,
    columns: Sequence[str],
    rows: Iterable[Sequence[Any]],
) -> int:
    """Appends ``rows`` to ``table`` in the connection's transaction.

    Args:
        connection: an open connection; the caller commits.
        table: ``schema.table``.
        columns: the columns that each row fills, in order.
        rows: one sequence of Python values a row; dicts and lists go in as jsonb when wrapped in
            ``psycopg.types.json.Jsonb``.

    Returns:
        The number of rows written.
    """
    statement = sql.SQL("copy {} ({}) from stdin").format(
        sql.Identifier(*table.split(".")),
        sql.SQL(", ").join(map(sql.Identifier, columns)),
    )
    count = 0
    with connection.cursor() as cursor, cursor.copy(statement) as copy:
        for row in rows:
            copy.write_row(row)
            count += 1
    return count
