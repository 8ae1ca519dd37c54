"""``leadengine docs``: the documentation of models and expectations, built and served."""

import subprocess
import sys
from typing import Annotated

import typer

from leadengine.cli.context import migrated_database
from leadengine.processes import require_free_port
from leadengine.progress import console
from leadengine.settings import Settings


def docs(
    serve: Annotated[bool, typer.Option(help="Serve it until Ctrl-C; else only build it.")] = True,
) -> None:
    """Builds dbt's documentation beside the Data Docs, and serves both on DOCS_PORT."""
    from orchestration.docs import build_docs

    settings, database = migrated_database()
    if serve:
        require_free_port(settings.docs_port, "DOCS_PORT")
    index = build_docs(settings, database)
    console.print(f"Built {index}", soft_wrap=True)
    if serve:
        console.print(f"Serving http://localhost:{settings.docs_port}. Ctrl-C stops it.")
        subprocess.run(serve_arguments(settings), check=False)


def serve_arguments(settings: Settings) -> list[str]:
    """The command that serves ``settings.docs`` to this machine alone."""
    return [
        sys.executable, "-m", "http.server", str(settings.docs_port),
        "--bind", "127.0.0.1", "--directory", str(settings.docs),
    ]  # fmt: skip
