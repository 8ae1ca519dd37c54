"""``leadengine sequences``: list, show, simulate, stop."""

import getpass
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated
from uuid import UUID
from zoneinfo import ZoneInfo

import typer
from rich.console import Console
from rich.table import Table

from leadengine.errors import LeadEngineError

app = typer.Typer(no_args_is_help=True)
Name = Annotated[str, typer.Argument(help="A file under activation/sequences.")]


@app.command("list")
def list_sequences() -> None:
    """Lists all sequences."""
    from activation.sequence import load_sequence, sequence_names

    table = Table("sequence", "steps", "stops on", "what it is for")
    for name in sequence_names():
        sequence = load_sequence(name)
        steps = str(len(sequence.steps))
        table.add_row(name, steps, ", ".join(sequence.stop_on), sequence.description)
    Console().print(table)


@app.command()
def show(name: Name) -> None:
    """Shows the steps of a sequence, their waits and branches."""
    from activation.sequence import load_sequence

    sequence = load_sequence(name)
    console = Console(highlight=False, soft_wrap=True)
    console.print(f"{sequence.name} (version {sequence.version})")
    console.print(sequence.description)
    console.print(f"Stops on {', '.join(sequence.stop_on)}.")
    table = Table("step", "templates, preferred first", "wait", "then")
    for step in sequence.steps:
        ways = [f"{branch.when}: {_way(branch.go_to)}" for branch in step.branches]
        ways.append(("otherwise: " if ways else "") + _way(sequence.after(step.step)))
        table.add_row(
            str(step.step), "\n".join(step.templates.values()), str(step.wait or ""),
            "\n".join(ways),
        )  # fmt: skip
    console.print(table)


def _way(target: int | str) -> str:
    return "end" if target == "end" else f"step {target}"


@app.command()
def simulate(
    name: Name,
    lead: Annotated[str | None, typer.Option(help="Replay against this lead's history.")] = None,
    history: Annotated[Path | None, typer.Option(help="Replay against a history file.")] = None,
    start: Annotated[
        str | None, typer.Option("--from", help="When it starts, such as 2026-03-02T16:00Z.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Replays a sequence in fast time: what would be sent when, which branch and why."""
    from activation.history import lead_history, read_history
    from activation.rulebook import current_rules
    from activation.sequence import load_sequence
    from activation.simulate import simulate as replay
    from leadengine.cli.context import migrated_database

    sequence = load_sequence(name)
    if (lead is None) == (history is None):
        raise LeadEngineError(
            "A replay needs one history.", remedy="Give --lead ID or --history FILE."
        )
    begins = _moment(start) if start else None
    if history is not None:
        person, from_file = read_history(history)
        begins = begins or from_file
    else:
        _, database = migrated_database()
        begins = begins or datetime.now(UTC) - timedelta(days=90)
        with database.connect() as connection:
            person = lead_history(connection, str(lead), begins)
    result = replay(sequence, person, begins, current_rules())
    if as_json:
        typer.echo(
            json.dumps(
                {
                    "sequence": name,
                    "version": sequence.version,
                    "sent": [
                        {"at": sent.at.isoformat(), "step": sent.step,
                         "channel": sent.channel.value, "template": sent.template_id}
                        for sent in result.sent
                    ],
                    "standing": result.journey.standing.value,
                    "ended_by": result.journey.ended_by,
                }
            )
        )  # fmt: skip
        return
    zone = person.timezone or "UTC"
    table = Table(f"when ({zone})", "what", "why")
    for line in result.lines:
        table.add_row(
            f"{line.at.astimezone(ZoneInfo(zone)):%a %Y-%m-%d %H:%M}", line.what, line.why
        )
    console = Console(highlight=False)
    console.print(table)
    ended = f", {result.journey.ended_by}" if result.journey.ended_by else ""
    console.print(f"{len(result.sent)} messages; {result.journey.standing.value}{ended}.")


def _moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise LeadEngineError(
            f"--from {text!r} is not a moment.", remedy="Write it as 2026-03-02T16:00Z."
        ) from error
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


@app.command()
def stop(batch: Annotated[str, typer.Argument(help="The batch's id.")]) -> None:
    """Ends a batch's later steps for everyone who is on the way; what was sent stays sent."""
    from activation.enrollments import stop_batch
    from leadengine.cli.context import migrated_database
    from leadengine.clock import SystemClock

    try:
        batch_id = UUID(batch)
    except ValueError as error:
        raise LeadEngineError(
            f"{batch!r} is not the id of a batch.", remedy="`leadengine batch show` prints it."
        ) from error
    _, database = migrated_database()
    stopped = stop_batch(database, batch_id, stopped_by=getpass.getuser(), clock=SystemClock())
    Console().print(f"Ended for {stopped} leads.")
