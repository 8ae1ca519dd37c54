"""What changed in loaded tables and models, for models that are built by what changed.

Revision ID: 0014
Revises: 0013
"""

from pathlib import Path

import psycopg
from alembic import op

revision = "0014"
down_revision: str | None = "0013"
branch_labels: str | None = None
depends_on: str | None = None

_SQL = Path(__file__).parents[1] / "sql"


def upgrade() -> None:
    """Runs the SQL file."""
    connection: psycopg.Connection = op.get_bind().connection.dbapi_connection  # type: ignore[assignment]
    connection.cursor().execute((_SQL / "0014_changes.sql").read_bytes())


def downgrade() -> None:
    """Takes the log away, and the triggers that write it."""
    op.execute("drop schema changes cascade")
