"""Feature vectors of stored scores, and scores that were made online.

Revision ID: 0006
Revises: 0005
"""

from pathlib import Path

import psycopg
from alembic import op

revision = "0006"
down_revision: str | None = "0005"
branch_labels: str | None = None
depends_on: str | None = None

_SQL = Path(__file__).parents[1] / "sql"


def upgrade() -> None:
    """Runs the SQL file."""
    connection: psycopg.Connection = op.get_bind().connection.dbapi_connection  # type: ignore[assignment]
    connection.cursor().execute((_SQL / "0006_score_vectors.sql").read_bytes())


def downgrade() -> None:
    """Refuses: scores that cannot be replayed without their vectors would stay."""
    raise RuntimeError("0006 is not reversible; restore a backup instead")
