"""Looks at drift and calibration, with their history.

Revision ID: 0005
Revises: 0004
"""

from pathlib import Path

import psycopg
from alembic import op

revision = "0005"
down_revision: str | None = "0004"
branch_labels: str | None = None
depends_on: str | None = None

_SQL = Path(__file__).parents[1] / "sql"


def upgrade() -> None:
    """Runs the SQL file."""
    connection: psycopg.Connection = op.get_bind().connection.dbapi_connection  # type: ignore[assignment]
    connection.cursor().execute((_SQL / "0005_watch.sql").read_bytes())


def downgrade() -> None:
    """Takes both tables away."""
    op.execute("drop table ml.watch_figures")
    op.execute("drop table ml.watch_runs")
