"""What is told when the warehouse that a plan is made from has not been built."""

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg

from leadengine.errors import LeadEngineError


class MartsMissingError(LeadEngineError):
    """The warehouse has not been built."""


@contextmanager
def reading_marts() -> Iterator[None]:
    """Around queries of ``marts``.

    Raises:
        MartsMissingError: a table that they read does not exist.
    """
    try:
        yield
    except (psycopg.errors.UndefinedTable, psycopg.errors.InvalidSchemaName) as error:
        raise MartsMissingError(
            f"The warehouse has not been built: {str(error).splitlines()[0]}.",
            remedy="Run `leadengine run`, or the full_refresh job, first.",
        ) from error
