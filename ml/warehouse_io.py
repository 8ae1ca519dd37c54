"""Feature tables out of the warehouse, by COPY, with every double to its last bit."""

import queue
import threading
from collections.abc import Iterator, Sequence
from typing import Any

import pandas as pd
import psycopg
import pyarrow as pa
import pyarrow.csv as pacsv
from psycopg import sql
from psycopg.abc import PQGen

KEYS = ("lead_id", "location_id", "as_of")
_NO_FEATURES = ("features_as_of", "agent_id")

_TEXT = {"text", "varchar", "bpchar", "name", "uuid", "char"}
_TIMES = {"timestamptz", "timestamp", "date"}
# Chunks that wait while one is worked on: the server goes on, and memory stays bounded.
_AHEAD = 1


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
    While a frame is being worked on the server prepares the next; nothing is written to disk.
    """
    types = column_types(connection, query)
    convert = pacsv.ConvertOptions(
        column_types={
            name: pa.string() if kind in _TEXT | _TIMES or kind == "bool" else pa.float64()
            for name, kind in types.items()
        },
        null_values=[""],
        strings_can_be_null=True,
        quoted_strings_can_be_null=True,
    )
    for text in _copied(connection, query, chunk_rows):
        table = pacsv.read_csv(
            pa.BufferReader(text),
            # A cell may hold a line break, so the text is cut nowhere.
            pacsv.ReadOptions(column_names=list(types), block_size=max(len(text), 1)),
            pacsv.ParseOptions(newlines_in_values=True),
            convert,
        )
        frame = table.to_pandas()
        for name, kind in types.items():
            if kind == "bool":
                frame[name] = frame[name].map({"t": 1.0, "f": 0.0}).astype("float64")
            elif kind in _TIMES:
                frame[name] = pd.to_datetime(frame[name], utc=True, format="ISO8601")
        yield frame


def read_frame(connection: psycopg.Connection, query: sql.Composable) -> pd.DataFrame:
    """All rows of a query at once; see :func:`read_frames`."""
    frames = list(read_frames(connection, query, 50_000))
    if not frames:
        types = column_types(connection, query)
        return pd.DataFrame({name: pd.Series(dtype="float64") for name in types})
    return pd.concat(frames, ignore_index=True)


def feature_names(columns: Sequence[str], *others: str) -> list[str]:
    """The columns of a feature table that are features: all but what says of whom and when."""
    return [name for name in columns if name not in (*KEYS, *_NO_FEATURES, *others)]


def _copied(
    connection: psycopg.Connection, query: sql.Composable, chunk_rows: int
) -> Iterator[bytes]:
    """The query's rows as CSV without a header, ``chunk_rows`` at a time, read ahead."""
    waiting: queue.Queue[bytes | BaseException | None] = queue.Queue(maxsize=_AHEAD)
    stopped = threading.Event()

    def put(item: "bytes | BaseException | None") -> bool:
        while not stopped.is_set():
            try:
                waiting.put(item, timeout=0.1)
                return True
            except queue.Full:
                continue
        return False

    def read() -> None:
        try:
            for text in _chunks(connection, query, chunk_rows):
                if not put(text):
                    return
            put(None)
        # Whatever went wrong is raised where the rows are wanted.
        except BaseException as error:
            put(error)

    reader = threading.Thread(target=read, name="copy-out", daemon=True)
    reader.start()
    try:
        while (item := waiting.get()) is not None:
            if isinstance(item, BaseException):
                raise item
            yield item
    finally:
        stopped.set()
        reader.join()


def _chunks(
    connection: psycopg.Connection, query: sql.Composable, chunk_rows: int
) -> Iterator[bytes]:
    statement = sql.SQL("copy ({}) to stdout (format csv)").format(query)
    with connection.cursor() as cursor, cursor.copy(statement) as copy:
        while rows := connection.wait(_next_rows(copy, chunk_rows)):
            yield b"".join(rows)


def _next_rows(copy: psycopg.Copy, count: int) -> "PQGen[list[Any]]":
    """Up to ``count`` rows; libpq hands over a COPY row by row, so that chunks end where rows do.

    What ``Copy.read`` does, but with one wait for all of them, which takes a third of the time.
    """
    rows: list[Any] = []
    while len(rows) < count and (row := (yield from copy._read_gen())):
        rows.append(row)
    return rows
