"""What the loads set aside, by reason."""

import dagster as dg

from ingestion.tables import TABLES
from orchestration.metadata import table
from orchestration.resources import Engine
from warehouse.quarantine import summarise


@dg.asset(
    key=["ops", "quarantine"],
    deps=[[spec.schema, spec.table] for spec in TABLES],
    group_name="quality",
    kinds={"postgres"},
    description="Records that could not be loaded, whole, each with the reason.",
)
def quarantine(engine: Engine) -> dg.MaterializeResult[None]:
    """Counts the quarantined records."""
    rows = summarise(engine.database)
    return dg.MaterializeResult(
        metadata={
            "records": sum(row.records for row in rows),
            "by_reason": table(
                ["source", "entity", "reason", "records"],
                [(row.source, row.entity, row.reason, row.records) for row in rows],
            ),
        }
    )
