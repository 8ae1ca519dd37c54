"""The analyst's role: a login with limits, and no grant that dbt did not give.

Revision ID: 0002
Revises: 0001
"""

from pathlib import Path

import psycopg
from alembic import op

revision = "0002"
down_revision: str | None = "0001"
branch_labels: str | None = None
depends_on: str | None = None

_SQL = Path(__file__).parents[1] / "sql"


def upgrade() -> None:
    """Runs the SQL file."""
    connection: psycopg.Connection = op.get_bind().connection.dbapi_connection  # type: ignore[assignment]
    connection.cursor().execute((_SQL / "0002_analyst_access.sql").read_bytes())


def downgrade() -> None:
    """Refuses: it would open personal columns to analysts again."""
    raise RuntimeError("0002 is not reversible; restore a backup instead")
