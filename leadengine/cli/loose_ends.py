"""``leadengine batch``: what needs a person. Unsettled messages, dead letters, calling off."""

import getpass
import json
from typing import Annotated
from uuid import UUID

import typer
from rich.console import Console
from rich.table import Table

from leadengine.cli.context import migrated_database
from leadengine.clock import SystemClock
from leadengine.errors import LeadEngineError

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON list.")]
By = Annotated[str | None, typer.Option("--by", help="Who does it; default: the user.")]


def _uuid(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError as error:
        raise LeadEngineError(
            f"{text!r} is not the id of a message or batch.",
            remedy="`leadengine batch unsettled` and `dead-letters` print ids.",
        ) from error


def dead_letters(
    batch: Annotated[str | None, typer.Argument(help="Only of this batch.")] = None,
    as_json: AsJson = False,
) -> None:
    """Lists messages that were given up or refused and did not go out."""
    from activation.dead_letters import dead_letters as find

    _, database = migrated_database()
    _print(find(database, _uuid(batch) if batch else None), as_json, "No dead letters.")


def replay(
    sends: Annotated[list[str] | None, typer.Argument(help="Ids of dead letters.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="All dead letters.")] = False,
    by: By = None,
) -> None:
    """Queues dead letters once more; they are checked anew before they leave."""
    from activation.dead_letters import dead_letters as find
    from activation.dead_letters import replay as queue

    _, database = migrated_database()
    if everything:
        wanted = [row["send_id"] for row in find(database)]
    else:
        wanted = [_uuid(text) for text in sends or []]
    if not wanted:
        raise LeadEngineError(
            "No message was named.", remedy="Name ids of dead letters, or say --all."
        )
    done = queue(database, wanted, replayed_by=by or getpass.getuser(), clock=SystemClock())
    Console().print(f"{len(done):,} queued; the dispatch worker sends them.")


def unsettled(as_json: AsJson = False) -> None:
    """Lists messages whose answer was lost and whose provider cannot be asked about them."""
    from activation.settle import unsettled_by_hand

    _, database = migrated_database()
    _print(unsettled_by_hand(database), as_json, "Nothing is unsettled.")


def resolve(
    send: Annotated[str, typer.Argument(help="The message's id.")],
    was_sent: Annotated[bool, typer.Option("--sent/--not-sent", help="Whether it went out.")],
    by: By = None,
) -> None:
    """A person's word on a message that could not be looked up. It is never sent again."""
    from activation.settle import resolve_send

    _, database = migrated_database()
    resolve_send(
        database,
        _uuid(send),
        was_sent=was_sent,
        resolved_by=by or getpass.getuser(),
        clock=SystemClock(),
    )
    Console().print("Noted.")


def cancel(
    batch: Annotated[str, typer.Argument(help="The batch's id.")],
    by: By = None,
) -> None:
    """Calls a batch off; what is on its way already still goes out."""
    from activation.approve import cancel_batch

    _, database = migrated_database()
    count = cancel_batch(
        database, _uuid(batch), cancelled_by=by or getpass.getuser(), clock=SystemClock()
    )
    Console().print(f"Called off; {count:,} queued messages will not be sent.")


def _print(rows: list[dict[str, object]], as_json: bool, none: str) -> None:
    if as_json:
        typer.echo(json.dumps(rows, default=str))
        return
    console = Console()
    if not rows:
        console.print(none)
        return
    table = Table(*rows[0], box=None)
    for row in rows:
        table.add_row(*("" if value is None else str(value) for value in row.values()))
    console.print(table)


def register(app: typer.Typer) -> None:
    """Adds the commands to ``leadengine batch``."""
    for name, command in (
        ("unsettled", unsettled), ("resolve", resolve), ("dead-letters", dead_letters),
        ("replay", replay), ("cancel", cancel),
    ):  # fmt: skip
        app.command(name)(command)
