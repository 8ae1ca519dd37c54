"""Opt-out words as a function, and an index on the webhooks that wait to be handled.

Revision ID: 0003
Revises: 0002
"""

from pathlib import Path

import psycopg
from alembic import op

revision = "0003"
down_revision: str | None = "0002"
branch_labels: str | None = None
depends_on: str | None = None

_SQL = Path(__file__).parents[1] / "sql"


def upgrade() -> None:
    """Runs the SQL file."""
    connection: psycopg.Connection = op.get_bind().connection.dbapi_connection  # type: ignore[assignment]
    connection.cursor().execute((_SQL / "0003_opt_out_words.sql").read_bytes())


def downgrade() -> None:
    """Takes both away."""
    op.execute("drop index ops.webhook_events_open")
    op.execute("drop function ops.opt_out_scope(text)")
