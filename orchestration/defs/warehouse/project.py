"""Where the dbt project is, and its manifest, without which nothing here can be defined."""

import os
import subprocess
import sys
from hashlib import sha256
from pathlib import Path

from leadengine.errors import LeadEngineError
from leadengine.settings import Settings, get_settings
from orchestration.resources import DBT_PROJECT_DIR

_SOURCES = ("*.sql", "*.yml", "*.yaml", "*.csv")


def dbt_executable() -> str:
    """This environment's own dbt; dagster-dbt does not bring one."""
    return str(Path(sys.executable).parent / "dbt")


def manifest_path(settings: Settings | None = None) -> Path:
    """The manifest, made anew when a file of the project has changed since.

    Raises:
        LeadEngineError: dbt cannot parse the project.
    """
    settings = settings or get_settings()
    target = settings.dbt_target
    manifest, stamp = target / "manifest.json", target / "manifest.sha256"
    digest = _project_digest()
    if manifest.exists() and stamp.exists() and stamp.read_text() == digest:
        return manifest
    target.mkdir(parents=True, exist_ok=True)
    # Parsing reads the profile but opens no connection: any value will do.
    placeholders = {
        f"LEADENGINE_PG_{name}": value
        for name, value in {
            "HOST": "localhost", "PORT": "5432", "USER": "-", "PASSWORD": "-", "DBNAME": "-",
        }.items()
    }  # fmt: skip
    result = subprocess.run(
        [dbt_executable(), "parse", "--project-dir", str(DBT_PROJECT_DIR), "--profiles-dir",
         str(DBT_PROJECT_DIR), "--target-path", str(target), "--log-path", str(target / "logs")],
        env=placeholders | dict(os.environ),
        capture_output=True,
        text=True,
        check=False,
    )  # fmt: skip
    if result.returncode:
        raise LeadEngineError(
            f"dbt cannot parse {DBT_PROJECT_DIR.name}: {result.stdout.strip()[-1500:]}",
            remedy="Mend the file that it names.",
        )
    stamp.write_text(digest)
    return manifest


def _project_digest() -> str:
    digest = sha256()
    for pattern in _SOURCES:
        for path in sorted(DBT_PROJECT_DIR.rglob(pattern)):
            if "target" not in path.relative_to(DBT_PROJECT_DIR).parts:
                digest.update(str(path.relative_to(DBT_PROJECT_DIR)).encode())
                digest.update(path.read_bytes())
    return digest.hexdigest()
