"""Versions of the rules score, which scores while there is no champion.

Revision ID: 0013
Revises: 0012
"""

from pathlib import Path

import psycopg
from alembic import op

revision = "0013"
down_revision: str | None = "0012"
branch_labels: str | None = None
depends_on: str | None = None

_SQL = Path(__file__).parents[1] / "sql"


def upgrade() -> None:
    """Runs the SQL file."""
    connection: psycopg.Connection = op.get_bind().connection.dbapi_connection  # type: ignore[assignment]
    connection.cursor().execute((_SQL / "0013_rules_models.sql").read_bytes())


def downgrade() -> None:
    """Takes the table away; scores by rules can then no longer be replayed."""
    op.execute("drop table ml.rules_models")
