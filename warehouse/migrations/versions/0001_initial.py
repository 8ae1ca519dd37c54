"""The first tables, roles and row-level security.

Revision ID: 0001
Revises:
"""

from pathlib import Path

import psycopg
from alembic import op

revision = "0001"
down_revision: str | None = None
branch_labels: str | None = None
depends_on: str | None = None

_SQL = Path(__file__).parents[1] / "sql"


def upgrade() -> None:
    """Runs the two SQL files."""
    # The driver itself: the files hold several statements, colons and percent signs.
    connection: psycopg.Connection = op.get_bind().connection.dbapi_connection  # type: ignore[assignment]
    for name in ("0001_initial.sql", "0001_roles.sql"):
        connection.cursor().execute((_SQL / name).read_bytes())


def downgrade() -> None:
    """Refuses: these tables hold consent and proof, which nothing may drop in passing."""
    raise RuntimeError("0001 is not reversible; restore a backup instead")
