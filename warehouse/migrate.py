"""Brings a database to the newest schema."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import text

from leadengine.errors import DatabaseUnavailableError
from warehouse.database import Database

_LOCK = 7_203_001  # any number that nothing else in the database locks


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.set_main_option("path_separator", "os")
    return config


def head() -> str:
    """The newest revision that this code knows."""
    return str(ScriptDirectory.from_config(_config()).get_current_head())


def current(database: Database) -> str | None:
    """The revision that ``database`` is at; None before the first migration."""
    with database.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"version_table_schema": "ops"})
        exists = connection.execute(text("select to_regclass('ops.alembic_version')")).scalar()
        return context.get_current_revision() if exists else None


def upgrade(database: Database) -> str:
    """Runs the migrations that are missing; safe when several processes do so at once.

    Also makes the schemas ``dagster`` and ``mlflow``, whose tables those two make themselves.

    Returns:
        The revision that the database is at now.

    Raises:
        DatabaseUnavailableError: the database is newer than this code.
    """
    config = _config()
    with database.engine.connect() as connection:
        connection.execute(text("select pg_advisory_lock(:key)"), {"key": _LOCK})
        try:
            for schema in ("ops", "dagster", "mlflow"):
                connection.execute(text(f"create schema if not exists {schema}"))
            connection.commit()
            _refuse_newer(database)
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
            connection.commit()
        finally:
            connection.rollback()
            connection.execute(text("select pg_advisory_unlock(:key)"), {"key": _LOCK})
            connection.commit()
    return head()


def _refuse_newer(database: Database) -> None:
    found = current(database)
    known = {script.revision for script in ScriptDirectory.from_config(_config()).walk_revisions()}
    if found is not None and found not in known:
        raise DatabaseUnavailableError(
            f"The database is at schema revision {found}, which this version does not know.",
            remedy="Update the code, or point DATABASE_URL at another database.",
        )
