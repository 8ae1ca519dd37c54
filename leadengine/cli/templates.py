"""``leadengine templates``: list, show, preview, lint."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from leadengine.errors import LeadEngineError

app = typer.Typer(no_args_is_help=True)
Name = Annotated[str, typer.Argument(help="Such as quick_call.sms or quick_call.email.")]


@app.command("list")
def list_templates() -> None:
    """Lists all templates with their size for an ordinary lead, and the sequences that use them."""
    from activation.linter import SAMPLE, SAMPLE_EMAIL
    from activation.preview import sms_facts
    from activation.sequence import load_sequence, sequence_names
    from activation.templating import TemplateLibrary

    library = TemplateLibrary()
    sequences = {name: load_sequence(name) for name in sequence_names()}
    table = Table("template", "version", "what it is", "used by")
    for name in library.names():
        message = library.render(name, SAMPLE | SAMPLE_EMAIL)
        what = message.subject or sms_facts(message)
        used = [s for s, sequence in sequences.items() if name in sequence.template_ids]
        table.add_row(name, message.template_version, what, ", ".join(used))
    Console().print(table)


@app.command()
def show(name: Name) -> None:
    """Prints a template as it is written, and as an ordinary lead would read it."""
    from activation.linter import SAMPLE, SAMPLE_EMAIL
    from activation.preview import sms_facts
    from activation.templating import TemplateLibrary

    library = TemplateLibrary()
    message = library.render(name, SAMPLE | SAMPLE_EMAIL)
    console = Console(highlight=False, markup=False, soft_wrap=True)
    for path in library.files(name):
        console.rule(path.name)
        console.print(path.read_text("utf-8").strip())
    console.rule(f"as sent, version {message.template_version}")
    if message.subject:
        console.print(f"Subject: {message.subject}\n")
    console.print(message.body)
    if name.endswith(".sms"):
        console.print(f"\n{sms_facts(message)}")


@app.command()
def preview(
    name: Name,
    lead: Annotated[str | None, typer.Option(help="Fill in this lead's values.")] = None,
    sample: Annotated[bool, typer.Option("--sample", help="A made-up lead; the default.")] = False,
    out: Annotated[Path, typer.Option(help="Folder for the files.")] = Path("previews"),
) -> None:
    """Writes a template as text, HTML and, with Chromium, as pictures for desk and phone."""
    from activation.preview import preview as render
    from activation.preview import sample_variables, variables_of
    from leadengine.cli.context import migrated_database
    from leadengine.clock import SystemClock
    from leadengine.settings import get_settings

    if lead is not None and sample:
        raise LeadEngineError("--lead and --sample exclude each other.", remedy="Give one of them.")
    if lead is None:
        variables = sample_variables(get_settings())
    else:
        settings, database = migrated_database()
        variables = variables_of(database, settings, lead, SystemClock())
    made = render(name, variables, out)
    console = Console(highlight=False, markup=False, soft_wrap=True)
    for path in made.files:
        console.print(str(path))
    if made.without_pictures:
        console.print(made.without_pictures)


@app.command()
def lint(
    templates: Annotated[Path | None, typer.Option(help="Folder of templates.")] = None,
    sequences: Annotated[Path | None, typer.Option(help="Folder of sequences.")] = None,
    audiences: Annotated[Path | None, typer.Option(help="Folder of audiences.")] = None,
) -> None:
    """Looks over templates, sequences and audiences; exit 1 if one of them cannot be used."""
    from activation.audience import AUDIENCES_DIR
    from activation.findings import errors_in
    from activation.linter import lint as look_over
    from activation.sequence import SEQUENCES_DIR
    from activation.templating import TEMPLATES_DIR

    folders = (templates or TEMPLATES_DIR, sequences or SEQUENCES_DIR, audiences or AUDIENCES_DIR)
    for folder in folders:
        if not folder.is_dir():
            raise LeadEngineError(f"There is no folder {folder}.", remedy="Name one that exists.")
    findings = look_over(*folders)
    console = Console(highlight=False, markup=False, soft_wrap=True)
    for finding in findings:
        console.print(f"{finding.severity}: {finding} [{finding.code}]")
        console.print(f"    {finding.remedy}")
    errors = errors_in(findings)
    files = sum(len(list(folder.glob("[!_]*.*"))) for folder in folders)
    console.print(f"{files} files: {len(errors)} errors, {len(findings) - len(errors)} warnings.")
    if errors:
        raise typer.Exit(1)
