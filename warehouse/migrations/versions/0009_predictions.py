"""Predictions of further targets, the models behind them, and the evidence of each location.

Revision ID: 0009
Revises: 0008
"""

from pathlib import Path

import psycopg
from alembic import op

revision = "0009"
down_revision: str | None = "0008"
branch_labels: str | None = None
depends_on: str | None = None

_SQL = Path(__file__).parents[1] / "sql"


def upgrade() -> None:
    """Runs the SQL file."""
    connection: psycopg.Connection = op.get_bind().connection.dbapi_connection  # type: ignore[assignment]
    connection.cursor().execute((_SQL / "0009_predictions.sql").read_bytes())


def downgrade() -> None:
    """Drops the tables: what they hold is made again by the next training and scoring."""
    for table in ("location_evidence", "lead_predictions", "target_models"):
        op.execute(f"drop table ml.{table}")
