"""``leadengine``: its commands, and how errors are told."""

import sys

import typer
from rich.console import Console

from leadengine.cli import (
    batch,
    docs,
    doctor,
    files,
    leads,
    model,
    run,
    sandbox,
    sequences,
    suppress,
    templates,
    up,
)
from leadengine.errors import LeadEngineError
from leadengine.log import configure_logging
from leadengine.settings import get_settings

app = typer.Typer(
    name="leadengine",
    help="Lead recovery and nurture for real-estate teams on GoHighLevel.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.command("run")(run.run)
app.command("up")(up.up)
app.command("worker")(up.worker)
app.command("import")(files.import_leads)
app.command("train")(files.train)
app.command("predict")(files.predict)
app.command("score")(leads.score)
app.command("replay")(leads.replay)
app.command("explain-send")(leads.explain_send)
app.add_typer(batch.app, name="batch", help="The life of a nurture batch.")
app.add_typer(sequences.app, name="sequences", help="Runs of messages: list, show, simulate, stop.")
app.add_typer(templates.app, name="templates", help="Messages: list, show, preview, lint.")
app.add_typer(model.app, name="model", help="Which version of the model scores, and the way back.")
app.add_typer(suppress.app, name="suppress", help="Who must not be written to: lists and lines.")
app.command("sandbox")(sandbox.sandbox)
app.command("docs")(docs.docs)
app.command("doctor")(doctor.doctor)


def main() -> None:
    """Runs a command; what a person can mend is told in two lines, without a traceback."""
    errors = Console(stderr=True, highlight=False, soft_wrap=True)
    try:
        settings = get_settings()
        configure_logging(settings.log_level, settings.log_format)
        app()
    except LeadEngineError as error:
        errors.print(f"[bold red]Error:[/] {_plain(error.message)}")
        errors.print(f"[bold]Remedy:[/] {_plain(error.remedy)}")
        sys.exit(1)
    except KeyboardInterrupt:
        errors.print("Stopped.")
        sys.exit(130)


def _plain(text: str) -> str:
    return text.replace("[", r"\[")
