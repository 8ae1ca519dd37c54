"""What a plan's messages cost; plans that a guard has refused.

Revision ID: 0012
Revises: 0011
"""

from pathlib import Path

import psycopg
from alembic import op

revision = "0012"
down_revision: str | None = "0011"
branch_labels: str | None = None
depends_on: str | None = None

_SQL = Path(__file__).parents[1] / "sql"


def upgrade() -> None:
    """Runs the SQL file."""
    connection: psycopg.Connection = op.get_bind().connection.dbapi_connection  # type: ignore[assignment]
    connection.cursor().execute((_SQL / "0012_plan_costs.sql").read_bytes())


def downgrade() -> None:
    """Refuses: a plan's cost is part of what was approved."""
    raise RuntimeError("0012 is not reversible; restore a backup instead")
