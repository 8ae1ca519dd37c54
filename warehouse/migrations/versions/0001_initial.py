"""The first tables, roles and row-level security.

Revision ID: 0001
Revises:
"""

from pathlib import Path

from alembic import op

revision = "0001"
down_revision: str | None = None
branch_labels: str | None = None
depends_on: str | None = None

_SQL = Path(__file__).parents[1] / "sql"


def upgrade() -> None:
    """Runs the two SQL files."""
    for name in ("0001_initial.sql", "0001_roles.sql"):
        # The driver itself: the files hold several statements, colons and percent signs.
        op.get_bind().connection.driver_connection.execute((_SQL / name).read_text("utf-8"))


def downgrade() -> None:
    """Refuses: these tables hold consent and proof, which nothing may drop in passing."""
    raise RuntimeError("0001 is not reversible; restore a backup instead")
