"""``leadengine model``: which version scores, why, and the way back."""

import json
from typing import Annotated

import typer

from leadengine.cli.context import migrated_database
from leadengine.progress import console

app = typer.Typer(no_args_is_help=True)


@app.command()
def history(
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,
) -> None:
    """Every decision about the model's versions: promoted, refused and why, rolled back."""
    from ml.history import NOT_TRAINED, events

    _, database = migrated_database()
    for event in events(database):
        if as_json:
            line = {
                "at": event.at.isoformat(),
                "actor": event.actor,
                "action": event.action,
                "version": event.version,
                "detail": event.detail,
            }
            typer.echo(json.dumps(line))
            continue
        said = event.detail.get("decision") or event.detail.get("reason") or ""
        what = event.action.removeprefix("model_").replace("_", " ")
        about = f"version {event.version} {what}"
        if event.action == NOT_TRAINED:
            about = f"no model trained, {event.version} scores"
        typer.echo(f"{event.at:%Y-%m-%d %H:%M} UTC  {about}  {said}".rstrip())


@app.command()
def rollback(
    to: Annotated[
        str | None, typer.Option(help="The version; by default the champion before this one.")
    ] = None,
    reason: Annotated[str, typer.Option(help="Why, for the record.")] = "",
) -> None:
    """Makes an earlier version champion again, and records it in the audit trail."""
    from ml.history import roll_back

    settings, database = migrated_database()
    done = roll_back(database, settings, to=to, reason=reason)
    console.print(f"Version {done.version} of {done.name} is champion again, not {done.gone}.")
    typer.echo(json.dumps({"model": done.name, "champion": done.version, "was": done.gone}))
