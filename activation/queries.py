"""The SQL that a person would want to read stands in ``activation/sql``."""

from functools import cache
from pathlib import Path
from typing import LiteralString

SQL_DIR = Path(__file__).parent / "sql"


@cache
def load_sql(name: str) -> LiteralString:
    """The statement in ``activation/sql/<name>.sql``. Values are bound, never written in."""
    return (SQL_DIR / f"{name}.sql").read_text("utf-8")
