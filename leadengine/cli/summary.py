"""What a broker reads at the end of a run."""

from typing import Any

from psycopg.rows import dict_row
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from leadengine.settings import Settings
from warehouse.database import Database

_LEADS = """
select
    count(*) as leads,
    count(*) filter (where is_open) as open_leads,
    count(distinct location_id) as locations,
    (select count(*) from marts.fct_communications) as touches,
    (select count(*) from ops.quarantine) as quarantined
from marts.dim_leads
"""
_HOTTEST = """
select
    priorities.rank,
    concat_ws(' ', leads.first_name, leads.last_name) as name,
    leads.assigned_agent_name as agent,
    priorities.score,
    priorities.tier,
    priorities.expected_value_cents / 100.0 as worth,
    priorities.reasons
from marts.lead_priorities as priorities
inner join marts.dim_leads as leads on priorities.lead_id = leads.lead_id
order by priorities.rank
limit 10
"""
_RULES = """
select rules.version, rules.reason
from ml.rules_models as rules
where rules.version in (select scores.model_version from ml.current_lead_scores as scores)
"""
_BATCH = """
select batch_id, audience, sequence, status, approved_by
from ops.batches
order by planned_at desc
limit 1
"""
_DECISIONS = """
select decision, reason_code, min(reason) as example, count(*) as leads
from ops.batch_items
where batch_id = %s
group by decision, reason_code
order by decision desc, leads desc
"""
_SENDS = """
select
    channel,
    count(*) filter (where status in ('sent', 'delivered')) as sent,
    count(*) filter (where status = 'intent') as waiting,
    count(*) filter (where status in ('rejected', 'failed')) as refused,
    count(*) filter (where status in ('claimed', 'unsettled')) as unsettled,
    count(*) filter (where status = 'cancelled') as cancelled
from ops.sends
where batch_id = %s
group by channel
order by channel
"""
_A_MESSAGE = """
select send_id
from ops.sends
where status in ('sent', 'delivered')
order by sent_at desc
limit 1
"""
_WRITES = """
select
    count(*) filter (where writes.written_at >= batches.planned_at) as now,
    count(*) as total
from ops.crm_writes as writes
cross join (select max(planned_at) as planned_at from ops.batches) as batches
where writes.status = 'written'
"""


def _rows(database: Database, query: str, parameters: list[Any] | None = None) -> list[Any]:
    with database.connect(row_factory=dict_row) as connection:
        return connection.execute(query, parameters or []).fetchall()


def print_summary(
    database: Database, settings: Settings, runs: dict[str, str], *, seconds: float
) -> None:
    """Prints leads, the ten hottest with reasons, the batch, what went out and came back."""
    out = Console(highlight=False)
    if not out.is_terminal:
        out.width = max(out.width, 110)
    out.print()
    out.rule("[bold]Summary")
    if settings.uses_sandbox:
        out.print("All people and messages below are simulated by the sandbox.", style="dim")
    leads = _rows(database, _LEADS)[0]
    out.print(
        f"[bold]Leads[/]  {leads['leads']:,} in {leads['locations']} locations, "
        f"{leads['open_leads']:,} of them open; {leads['touches']:,} touches; "
        f"{leads['quarantined']:,} records set aside (ops.quarantine says why)."
    )
    for rules in _rows(database, _RULES):
        out.print(
            f"[bold]Scores[/] are by the rules of ml/rules_score.yml ({rules['version']}), not yet "
            f"by a model. {rules['reason']}"
        )
    _print_hottest(out, database)
    _print_batch(out, database)
    writes = _rows(database, _WRITES)[0]
    out.print(
        f"[bold]Written back[/]  {writes['now']:,} contacts changed in GoHighLevel in this run "
        f"({writes['total']:,} carry a score; tiers {', '.join(settings.writeback_tiers)})."
    )
    out.print()
    _print_next_steps(out, database)
    out.print(f"Done in {seconds:.0f} s; runs {', '.join(run[:8] for run in runs.values())}.")


def _print_hottest(out: Console, database: Database) -> None:
    table = Table(
        "", "lead", "agent", "worth", "score", "tier", "why",
        title="The ten hottest leads, by what acting on each is expected to bring",
        box=SIMPLE_HEAD,
    )  # fmt: skip
    for row in _rows(database, _HOTTEST):
        why = "; ".join(reason["sentence"] for reason in row["reasons"][:3])
        table.add_row(
            str(row["rank"]), row["name"] or "(no name)", row["agent"] or "",
            f"${row['worth']:,.0f}", f"{row['score']:.0%}", row["tier"], why,
        )  # fmt: skip
    out.print(table)


def _print_batch(out: Console, database: Database) -> None:
    batch = _rows(database, _BATCH)[0]
    out.print(
        f"[bold]Batch[/]  {batch['batch_id']}: audience {batch['audience']}, "
        f"sequence {batch['sequence']}",
        soft_wrap=True,
    )
    table = Table("decision", "why", "leads", box=SIMPLE_HEAD)
    for row in _rows(database, _DECISIONS, [batch["batch_id"]]):
        table.add_row(row["decision"], row["reason_code"].replace("_", " "), f"{row['leads']:,}")
    out.print(table)
    if batch["approved_by"] is None:
        out.print(
            f"It waits for a person:  leadengine batch approve {batch['batch_id']}", soft_wrap=True
        )
        return
    out.print(f"Approved by {batch['approved_by']}.")
    for row in _rows(database, _SENDS, [batch["batch_id"]]):
        parts = [
            f"{row[key]:,} {label}"
            for key, label in (
                ("sent", "sent"), ("waiting", "wait for their hour"), ("refused", "refused"),
                ("unsettled", "unsettled"), ("cancelled", "cancelled"),
            )
            if row[key]
        ]  # fmt: skip
        out.print(f"[bold]{row['channel'].upper()}[/]  {', '.join(parts)}.")


def _print_next_steps(out: Console, database: Database) -> None:
    batch = _rows(database, _BATCH)[0]
    message = _rows(database, _A_MESSAGE)
    steps = [
        ("make up", "Dagster, MLflow and the service in the browser"),
        (f"leadengine batch show {batch['batch_id']}", "who is in, who is out, and why"),
        *(
            (f"leadengine explain-send {row['send_id']}", "the proof behind one message")
            for row in message
        ),
        ("leadengine doctor", "whether everything is set up as it should be"),
    ]
    out.print()
    out.print("[bold]Where to look next[/]  (commands are in .venv/bin)")
    for command, what in steps:
        out.print(f"  {command}\n      {what}", soft_wrap=True)
