"""``leadengine batch``: plan, show, approve, dispatch, measure."""

import getpass
import json
from typing import Annotated, Any
from uuid import UUID

import typer
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from leadengine.cli import loose_ends
from leadengine.cli.context import engine, migrated_database
from leadengine.clock import SystemClock
from leadengine.errors import LeadEngineError
from warehouse.database import Database

app = typer.Typer(no_args_is_help=True)
loose_ends.register(app)
BatchId = Annotated[str, typer.Argument(help="The batch's id.")]
BatchIdOrNewest = Annotated[str | None, typer.Argument(help="The batch's id; default: the newest.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]


def _batch_id(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError as error:
        raise LeadEngineError(
            f"{text!r} is not the id of a batch.",
            remedy="`leadengine batch plan` prints the id of the batch it plans.",
        ) from error


def _batch_or_newest(database: Database, text: str | None) -> UUID:
    if text is not None:
        return _batch_id(text)
    with database.connect() as connection:
        row = connection.execute(
            "select batch_id from ops.batches order by planned_at desc limit 1"
        ).fetchone()
    if row is None:
        raise LeadEngineError("There is no batch yet.", remedy="`leadengine batch plan` plans one.")
    batch_id: UUID = row[0]
    return batch_id


@app.command()
def plan(
    audience: Annotated[str, typer.Option(help="A file under activation/audiences.")] = "hottest",
    sequence: Annotated[
        str, typer.Option(help="A file under activation/sequences.")
    ] = "hot_follow_up",
    size: Annotated[int, typer.Option(help="Leads to write to or hold out, at most.", min=1)] = 200,
    channels: Annotated[str, typer.Option(help="sms, email or both, by comma.")] = "sms,email",
    holdout_share: Annotated[
        float, typer.Option(help="Share kept back to measure against.", min=0, max=0.9)
    ] = 0.1,
    dry_run: Annotated[bool, typer.Option(help="Plan only; such a batch is never sent.")] = False,
    budget: Annotated[
        float | None, typer.Option(help="What the messages may cost, in dollars.", min=0)
    ] = None,
    override: Annotated[
        str | None, typer.Option(help="Why a plan that the guards refuse is right.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Decides for every candidate whether, what and when to send, and why not."""
    from activation.consent import sync_consent
    from activation.plan import plan_batch
    from activation.types import PlanRequest

    settings, database = migrated_database()
    sync_consent(database)
    result = plan_batch(
        database,
        settings,
        PlanRequest(
            audience=audience,
            sequence=sequence,
            size=size,
            channels=[channel.strip() for channel in channels.split(",") if channel.strip()],
            holdout_share=holdout_share,
            dry_run=dry_run,
            planned_by=getpass.getuser(),
            budget_cents=None if budget is None else round(budget * 100),
            override=override,
        ),
        SystemClock(),
    )
    if as_json:
        typer.echo(json.dumps(result.as_dict()))
        return
    console = Console()
    console.print(f"Batch {result.batch_id}")
    _print_counts(console, "decision", result.counts)
    _print_counts(console, "reason", result.reasons)
    console.print(result.blast_radius, soft_wrap=True)
    for refusal in result.refusals:
        console.print(f"Overridden: {refusal}", soft_wrap=True)
    console.print(f"Look at it:  leadengine batch show {result.batch_id}", soft_wrap=True)
    if not dry_run:
        console.print(f"Approve it:  leadengine batch approve {result.batch_id}", soft_wrap=True)


def _print_counts(console: Console, heading: str, numbers: dict[str, int]) -> None:
    rows = Table(heading, "leads", box=None)
    for name, count in sorted(numbers.items(), key=lambda item: -item[1]):
        rows.add_row(name, f"{count:,}")
    console.print(rows)


@app.command()
def show(
    batch: BatchIdOrNewest = None,
    limit: Annotated[int, typer.Option(help="Leads per decision, at most.")] = 20,
    ids: Annotated[bool, typer.Option(help="Show each lead's id as well.")] = False,
) -> None:
    """Shows who is in, who is out, and why."""
    _, database = migrated_database()
    batch_id = _batch_or_newest(database, batch)
    with database.connect() as connection:
        head = connection.execute(_HEAD, [batch_id]).fetchone()
        if head is None:
            raise LeadEngineError(
                f"There is no batch {batch}.", remedy="`leadengine batch plan` plans one."
            )
        rows = connection.execute(_ITEMS, [batch_id, limit]).fetchall()
    audience, sequence, status, planned_at, approved_by, counts, radius, refusals = head
    console = Console()
    console.print(f"Batch {batch_id}: audience {audience}, sequence {sequence}", soft_wrap=True)
    approval = f", approved by {approved_by}" if approved_by else ""
    console.print(f"Planned {planned_at:%Y-%m-%d %H:%M} UTC, {status}{approval}.")
    for sentence in (radius, *(refusals or ())):
        if sentence:
            console.print(sentence, soft_wrap=True)
    _print_counts(console, "decision", counts or {})
    for decision in ("send", "suppress", "holdout"):
        _print_items(console, decision, [row[1:] for row in rows if row[0] == decision], ids=ids)


def _print_items(
    console: Console, decision: str, rows: list[tuple[Any, ...]], *, ids: bool
) -> None:
    if not rows:
        return
    table = Table("name", "channel", "tier", "score", title=decision, box=SIMPLE_HEAD)
    if decision == "send":
        table.add_column("send at (UTC)", no_wrap=True)
    table.add_column("reason")
    if ids:
        table.add_column("lead", overflow="fold")  # an id that is cut off cannot be copied
    for name, lead, channel, send_at, tier, score, reason in rows:
        cells = [name, channel or "", tier or "", f"{score:.0%}" if score is not None else ""]
        if decision == "send":
            cells.append(f"{send_at:%Y-%m-%d %H:%M}" if send_at else "")
        table.add_row(*cells, reason, *([lead] if ids else []))
    console.print(table)


_HEAD = """
select audience, sequence, status, planned_at at time zone 'UTC', approved_by, summary -> 'counts',
    summary ->> 'blast_radius', summary -> 'refusals'
from ops.batches
where batch_id = %s
"""
_ITEMS = """
select
    numbered.decision, concat_ws(' ', leads.first_name, leads.last_name), numbered.lead_id,
    numbered.channel, numbered.send_at at time zone 'UTC', numbered.tier, numbered.score,
    numbered.reason
from (
    select
        items.*,
        row_number() over (
            partition by decision order by rank, score desc nulls last, lead_id
        ) as place
    from ops.batch_items as items
    where batch_id = %s
) as numbered
left join marts.dim_leads as leads on numbered.lead_id = leads.lead_id
where numbered.place <= %s
order by numbered.place
"""


@app.command()
def approve(
    batch: BatchId,
    digest: Annotated[
        str | None, typer.Option(help="The plan's digest; default: the one stored with it.")
    ] = None,
    approver: Annotated[
        str | None, typer.Option("--by", help="Who approves; default: the user.")
    ] = None,
) -> None:
    """Approves a plan, in a person's name; it holds for 24 hours."""
    from activation.approve import approve_batch

    _, database = migrated_database()
    batch_id = _batch_id(batch)
    if digest is None:
        with database.connect() as connection:
            row = connection.execute(
                "select digest from ops.batches where batch_id = %s", [batch_id]
            ).fetchone()
        digest = row[0] if row else ""
    name = approver or getpass.getuser()
    approve_batch(database, batch_id, digest=digest, approved_by=name, clock=SystemClock())
    Console().print(
        f"Approved by {name}. Send it:  leadengine batch dispatch {batch}", soft_wrap=True
    )


@app.command()
def dispatch(batch: BatchId) -> None:
    """Sends an approved batch; a second call goes on where a first one stopped."""
    from activation.dispatch import dispatch_batch

    with engine() as opened:
        report = dispatch_batch(
            opened.database, opened.clients, opened.settings, _batch_id(batch), opened.clock
        )
    console = Console()
    if not report.sent:
        console.print("Nothing was sent.")
    for heading, numbers in (
        ("sent by", report.sent), ("cancelled", report.cancelled),
        ("rejected", report.rejected), ("left", report.left),
    ):  # fmt: skip
        if numbers:
            _print_counts(console, heading, numbers)


@app.command()
def measure(batch: BatchIdOrNewest = None, as_json: AsJson = False) -> None:
    """What the batch brought against its holdout, or that it is too early to tell."""
    from activation.measure import measure_batch

    _, database = migrated_database()
    result = measure_batch(database, _batch_or_newest(database, batch), SystemClock())
    if as_json:
        typer.echo(json.dumps(result.as_dict(), default=str))
    else:
        console = Console()
        console.print(result.verdict, soft_wrap=True)
        for line in result.lines:
            console.print(line, soft_wrap=True)
