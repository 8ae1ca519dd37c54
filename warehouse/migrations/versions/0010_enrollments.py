"""Enrollments in sequences, what was decided on the way, and a mark on batches.

Revision ID: 0010
Revises: 0009
"""

from pathlib import Path

import psycopg
from alembic import op

revision = "0010"
down_revision: str | None = "0009"
branch_labels: str | None = None
depends_on: str | None = None

_SQL = Path(__file__).parents[1] / "sql"


def upgrade() -> None:
    """Runs the SQL file."""
    connection: psycopg.Connection = op.get_bind().connection.dbapi_connection  # type: ignore[assignment]
    connection.cursor().execute((_SQL / "0010_enrollments.sql").read_bytes())


def downgrade() -> None:
    """Takes all of it away."""
    op.execute("drop index ops.webhook_events_engagement")
    op.execute("drop table ops.enrollment_events")
    op.execute("drop table ops.enrollments")
    op.execute("alter table ops.batches drop column enrolled_at")
