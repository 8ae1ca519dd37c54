"""SQL that stands in files of its own."""

from functools import cache
from pathlib import Path


@cache
def statement(name: str) -> bytes:
    """A file of ``ml/sql``."""
    return (Path(__file__).parent / "sql" / name).read_bytes()
