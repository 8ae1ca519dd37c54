"""Indexes for claiming in batches, checking anew, and looking up lost answers.

Revision ID: 0008
Revises: 0007
"""

from pathlib import Path

import psycopg
from alembic import op

revision = "0008"
down_revision: str | None = "0007"
branch_labels: str | None = None
depends_on: str | None = None

_SQL = Path(__file__).parents[1] / "sql"


def upgrade() -> None:
    """Runs the SQL file."""
    connection: psycopg.Connection = op.get_bind().connection.dbapi_connection  # type: ignore[assignment]
    connection.cursor().execute((_SQL / "0008_dispatch_queue.sql").read_bytes())


def downgrade() -> None:
    """Puts the first index back and takes the others away."""
    for name in (
        "sends_due", "sends_due_at", "sends_open", "sends_contact", "sends_address",
        "consent_logs_contact", "webhook_events_texts",
    ):  # fmt: skip
        op.execute(f"drop index ops.{name}")
    op.execute("create index sends_due on ops.sends (not_before) where status = 'intent'")
