"""Pages for people: dbt's documentation of the models, beside Great Expectations' Data Docs."""

import os
import shutil
import subprocess
from pathlib import Path

from leadengine.errors import LeadEngineError
from leadengine.settings import Settings
from orchestration.defs.warehouse.project import dbt_executable
from orchestration.resources import DBT_PROJECT_DIR
from warehouse.database import Database

_INDEX = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>Lead engine: documentation</title>
<body style="font: 16px/1.5 sans-serif; max-width: 40em; margin: 3em auto">
<h1>Documentation</h1>
<ul>
<li><a href="models.html">Models</a>: every table, column, test and their lineage (dbt)</li>
<li><a href="expectations/index.html">Expectations</a>: the raw tables at the last load</li>
</ul>
<p>The first is built by <code>make docs</code>, the second by every run.</p>
</body>
</html>
"""


def build_docs(settings: Settings, database: Database) -> Path:
    """Builds dbt's documentation from the project and what the database holds.

    Returns:
        The page from which all documentation is reached, in ``settings.docs``.

    Raises:
        LeadEngineError: dbt cannot build it.
    """
    # A target of its own: a run may be using the other one.
    target = settings.home / "dbt-docs"
    result = subprocess.run(
        [dbt_executable(), "docs", "generate", "--static", "--project-dir", str(DBT_PROJECT_DIR),
         "--profiles-dir", str(DBT_PROJECT_DIR), "--target-path", str(target),
         "--log-path", str(target / "logs")],
        env=dict(os.environ) | database.dbt_env(),
        capture_output=True,
        text=True,
        check=False,
    )  # fmt: skip
    if result.returncode:
        raise LeadEngineError(
            f"dbt cannot document the models: {result.stdout.strip()[-1500:]}",
            remedy="Mend what it names; `leadengine run` builds missing tables.",
        )
    index = write_index(settings)
    shutil.copyfile(target / "static_index.html", settings.docs / "models.html")
    return index


def write_index(settings: Settings) -> Path:
    """Writes the page that leads to the others, which may come later."""
    settings.docs.mkdir(parents=True, exist_ok=True)
    index = settings.docs / "index.html"
    index.write_text(_INDEX, encoding="utf-8")
    return index
