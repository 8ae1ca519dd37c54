"""Names of a block's features and an index, for the proof behind a message.

Revision ID: 0011
Revises: 0010
"""

from pathlib import Path

import psycopg
from alembic import op

revision = "0011"
down_revision: str | None = "0010"
branch_labels: str | None = None
depends_on: str | None = None

_SQL = Path(__file__).parents[1] / "sql"


def upgrade() -> None:
    """Runs the SQL file."""
    connection: psycopg.Connection = op.get_bind().connection.dbapi_connection  # type: ignore[assignment]
    connection.cursor().execute((_SQL / "0011_proof.sql").read_bytes())


def downgrade() -> None:
    """Takes both away."""
    op.execute("drop index ops.webhook_events_send")
    op.execute("alter table ml.feature_blocks drop column feature_columns")
