"""``python -m tests.dbt_project.linting``: sqlfluff over the models.

Its dbt templater compiles each model, and for that wants a database: this gives it one of its own.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from leadengine.settings import load_settings
from tests.dbt_project.raw_fixture import create_raw_tables
from tests.dbt_project.rendering import PROJECT
from warehouse.database import open_database, release_embedded
from warehouse.migrate import upgrade


def lint(*options: str) -> int:
    """Lints every model and singular test.

    Args:
        options: of ``sqlfluff lint``, such as ``--format=github-annotation``.

    Returns:
        sqlfluff's exit code: 0 when there is nothing to say.
    """
    with tempfile.TemporaryDirectory(prefix="leadengine-lint-") as home:
        settings = load_settings(_env_file=None, leadengine_home=home, database_url=None)
        database = open_database(settings)
        try:
            upgrade(database)
            with database.connect() as connection:
                create_raw_tables(connection)
            database.engine.dispose()
            tests = [str(path.relative_to(PROJECT)) for path in PROJECT.glob("tests/*.sql")]
            return subprocess.run(
                [str(Path(sys.executable).parent / "sqlfluff"), "lint", *options, "models", *tests],
                cwd=PROJECT,
                env=dict(os.environ) | database.dbt_env() | {"DBT_TARGET_PATH": f"{home}/target"},
                check=False,
            ).returncode
        finally:
            release_embedded()


if __name__ == "__main__":
    sys.exit(lint(*sys.argv[1:]))
