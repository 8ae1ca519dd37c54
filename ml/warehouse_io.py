"""Feature tables out of the warehouse, by COPY, with every double to its last bit."""

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import IO, Any

import pandas as pd
import psycopg
from psycopg import sql

KEYS = ("lead_id", "location_id", "as_of")

_TEXT = {"text", "varchar", "bpchar", "name", "uuid", "char"}
_TIMES = {"timestamptz", "timestamp", "date"}


def column_types(connection: psycopg.Connection, query: sql.Composable) -> dict[str, str]:
    """The columns that a query gives, with PostgreSQL's names of their types."""
    cursor = connection.execute(sql.SQL("select * from ({}) as q limit 0").format(query))
    types = {}
    for column in cursor.description or ():
        found = connection.adapters.types.get(column.type_code)
        types[column.name] = found.name if found else "text"
    return types


def read_frames(
    connection: psycopg.Connection, query: sql.Composable, chunk_rows: int
) -> Iterator[pd.DataFrame]:
    """The rows of a query without parameters, ``chunk_rows`` at a time.

    Numbers and flags come as doubles (flags as 1 and 0), times as UTC, text as text; NULL as NaN.
    """
    types = column_types(connection, query)
    dtypes: Mapping[str, Any] = {
        name: "str" if kind in _TEXT | _TIMES or kind == "bool" else "float64"
        for name, kind in types.items()
    }
    with _copied(connection, query) as stream:
        frames = pd.read_csv(
            stream,
            dtype=dtypes,
            # The default is fast and may miss the last bit.
            float_precision="round_trip",
            keep_default_na=False,
            na_values=[""],
            chunksize=chunk_rows,
        )
        for frame in frames:
            for name, kind in types.items():
                if kind == "bool":
                    frame[name] = frame[name].map({"t": 1.0, "f": 0.0}).astype("float64")
                elif kind in _TIMES:
                    frame[name] = pd.to_datetime(frame[name], utc=True, format="ISO8601")
            yield frame


def read_frame(connection: psycopg.Connection, query: sql.Composable) -> pd.DataFrame:
    """All rows of a query at once; see :func:`read_frames`."""
    frames = list(read_frames(connection, query, 200_000))
    return pd.concat(frames, ignore_index=True)


@contextmanager
def _copied(connection: psycopg.Connection, query: sql.Composable) -> Iterator[IO[bytes]]:
    """The query's rows as CSV, in memory while small and in a temporary file beyond that."""
    statement = sql.SQL("copy ({}) to stdout (format csv, header)").format(query)
    with tempfile.SpooledTemporaryFile(max_size=64 * 1024 * 1024) as spool:
        with connection.cursor() as cursor, cursor.copy(statement) as copy:
            for block in copy:
                spool.write(block)
        spool.seek(0)
        yield spool


def feature_names(columns: Sequence[str], *others: str) -> list[str]:
    """The columns of a feature table that are features: all but the keys and ``others``."""
    return [name for name in columns if name not in KEYS and name not in others]
