"""What could not be loaded, summed up."""

from dataclasses import dataclass

from psycopg.rows import class_row

from warehouse.database import Database

_SUMMARY = """
select source, entity, reason, count(*)::int as records
from ops.quarantine
group by source, entity, reason
order by records desc, source, entity, reason
limit 50
"""


@dataclass(frozen=True)
class QuarantineCount:
    """How many records of an entity were set aside for one reason."""

    source: str
    entity: str
    reason: str
    records: int


def summarise(database: Database) -> list[QuarantineCount]:
    """The fifty most frequent reasons, most frequent first."""
    with database.connect() as connection:
        cursor = connection.cursor(row_factory=class_row(QuarantineCount))
        return cursor.execute(_SUMMARY).fetchall()
