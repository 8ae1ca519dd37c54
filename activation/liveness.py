"""Whether the worker that claimed a message is still alive: a lock that dies with it."""

from __future__ import annotations

import hashlib
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from uuid import uuid4

import psycopg

from warehouse.database import Database


def lock_key(worker: str) -> int:
    """The advisory lock's number for a worker's name (a signed 64-bit integer)."""
    return int.from_bytes(hashlib.sha256(worker.encode()).digest()[:8], "big", signed=True)


@contextmanager
def living_worker(database: Database) -> Iterator[str]:
    """Yields a worker's name, and holds its lock for as long as the block runs.

    The lock belongs to a connection of its own. When the process dies, however it dies, the
    server lets go of it, and others know that the worker's claims are nobody's any more. A claim
    is only possible while the lock is held, so a worker cut off from the database cannot claim.
    """
    worker = f"{socket.gethostname()}:{os.getpid()}:{uuid4().hex[:12]}"
    with database.connect(autocommit=True) as connection:
        connection.execute("select pg_advisory_lock(%s)", (lock_key(worker),))
        yield worker


def is_alive(connection: psycopg.Connection, worker: str) -> bool:
    """Whether somebody holds the worker's lock."""
    row = connection.execute(
        "select pg_try_advisory_xact_lock_shared(%s)", (lock_key(worker),)
    ).fetchone()
    return not (row and row[0])
