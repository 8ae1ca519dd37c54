"""Opt-out words, do-not-call lists, types of lines, and texts that answer by themselves.

Revision ID: 0005
Revises: 0004
"""

from pathlib import Path

import psycopg
from alembic import op

revision = "0005"
down_revision: str | None = "0004"
branch_labels: str | None = None
depends_on: str | None = None

_SQL = Path(__file__).parents[1] / "sql"


def upgrade() -> None:
    """Runs the SQL file."""
    connection: psycopg.Connection = op.get_bind().connection.dbapi_connection  # type: ignore[assignment]
    connection.cursor().execute((_SQL / "0005_compliance.sql").read_bytes())


def downgrade() -> None:
    """Takes all of it away; the opt-out words are those of 0003 again."""
    op.execute("drop index ops.suppressions_address")
    op.execute("drop table ops.auto_replies")
    op.execute("drop table ops.phone_lines")
    op.execute("drop table ops.do_not_call")
    op.execute("drop table ops.do_not_call_lists")
    op.execute("drop index ops.webhook_events_urgent")
    op.execute("drop function ops.is_carrier_keyword(text)")
    op.execute("drop function ops.keyword(text)")
    connection: psycopg.Connection = op.get_bind().connection.dbapi_connection  # type: ignore[assignment]
    before = (_SQL / "0003_opt_out_words.sql").read_text("utf-8")
    function = before[: before.index("create index")]
    connection.cursor().execute(
        function.replace("create function", "create or replace function").encode()
    )
