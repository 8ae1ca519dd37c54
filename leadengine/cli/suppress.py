"""``leadengine suppress``: do-not-call lists, types of lines, addresses taken off by hand."""

import json
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from leadengine.cli.context import engine, migrated_database
from leadengine.clock import SystemClock

app = typer.Typer(no_args_is_help=True)


@app.command("import")
def import_file(
    file: Annotated[Path, typer.Argument(help="One number or email a line, or CSV.")],
    list_name: Annotated[str, typer.Option("--list", help="The list's name.")],
    kind: Annotated[str, typer.Option(help="internal, national or state.")] = "internal",
    channel: Annotated[str, typer.Option(help="sms, email or call.")] = "sms",
    location: Annotated[str, typer.Option(help="A location's id; * for every one.")] = "*",
    listed_on: Annotated[
        datetime | None, typer.Option(formats=["%Y-%m-%d"], help="The day the list is of.")
    ] = None,
    replace: Annotated[
        bool, typer.Option("--replace", help="Takes off the list who is not in the file.")
    ] = False,
    by: Annotated[str, typer.Option(help="Who imports it.")] = "cli",
) -> None:
    """Reads a do-not-call list; what is queued for those on it is cancelled. Prints JSON."""
    from activation.do_not_call import import_list

    _, database = migrated_database()
    report = import_list(
        database,
        file,
        list_name=list_name,
        kind=kind,
        channel=channel,
        now=SystemClock().now(),
        imported_by=by,
        location_id=location,
        listed_on=listed_on.date() if listed_on else None,
        replace=replace,
    )
    typer.echo(json.dumps(report.as_dict(), indent=2))


@app.command("lists")
def lists() -> None:
    """Prints the lists with source, date and size as JSON."""
    _, database = migrated_database()
    query = (
        "select list_name, kind, channel, location_id, source, listed_on, addresses, imported_at,"
        " imported_by from ops.do_not_call_lists order by list_name"
    )
    with database.connect() as connection:
        cursor = connection.execute(query)
        names = [column.name for column in cursor.description or ()]
        found = [dict(zip(names, row, strict=True)) for row in cursor]
    typer.echo(json.dumps(found, indent=2, default=str))


@app.command("remove")
def remove(
    address: Annotated[str, typer.Argument(help="The number in E.164, or the email.")],
    channel: Annotated[str, typer.Option(help="sms, email or call.")],
    by: Annotated[str, typer.Option(help="Who takes it off.")],
    reason: Annotated[str, typer.Option(help="Why, such as the form with the new consent.")],
) -> None:
    """Takes an address off the suppression list, by a named person with a reason."""
    from activation.suppression import lift

    _, database = migrated_database()
    lifted = lift(
        database, address=address, channel=channel, by=by, reason=reason, now=SystemClock().now()
    )
    typer.echo(f"Lifted {lifted} suppression{'s' if lifted != 1 else ''}.")


@app.command("lines")
def lines(
    most: Annotated[int, typer.Option(help="How many numbers to ask about.")] = 1_000,
) -> None:
    """Asks Twilio Lookup what kind of lines the leads' numbers are (LINE_TYPE_LOOKUPS)."""
    from activation.line_types import look_up_lines

    with engine() as context:
        report = look_up_lines(
            context.database, context.clients, context.settings, context.clock, most=most
        )
    typer.echo(
        f"Asked about {report.asked}: {report.barred} landlines, {report.invalid} invalid;"
        f" {report.left} not asked."
    )
