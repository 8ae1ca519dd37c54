"""The analyst, as a login of its own and not as a role that the owner puts on."""

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg

from warehouse.database import Database

ROLE = "leadengine_analyst"


@contextmanager
def log_in(database: Database, user: str = ROLE) -> Iterator[psycopg.Connection]:
    """A connection of ``user``'s to ``database``; each statement is its own transaction."""
    with psycopg.connect(
        host=database.host, port=database.port, dbname=database.dbname, user=user, autocommit=True
    ) as connection:
        yield connection
