"""Looks at drift and calibration, with their history.

Revision ID: 0007
Revises: 0006
"""

from pathlib import Path

import psycopg
from alembic import op

revision = "0007"
down_revision: str | None = "0006"
branch_labels: str | None = None
depends_on: str | None = None

_SQL = Path(__file__).parents[1] / "sql"


def upgrade() -> None:
    """Runs the SQL file."""
    connection: psycopg.Connection = op.get_bind().connection.dbapi_connection  # type: ignore[assignment]
    connection.cursor().execute((_SQL / "0007_watch.sql").read_bytes())


def downgrade() -> None:
    """Takes both tables away."""
    op.execute("drop table ml.watch_figures")
    op.execute("drop table ml.watch_runs")
