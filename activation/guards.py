"""Guards that refuse a plan which is too large, too costly, or too unlike the last one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import psycopg
import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from activation.plan_store import DraftPlan
from leadengine.errors import LeadEngineError

GUARDS_FILE = Path(__file__).parent / "guards.yaml"
_LAST = """
select summary
from ops.batches
where audience = %s and sequence = %s and approved_at is not null and batch_id != %s
order by approved_at desc
limit 1
"""
_OPEN_LEADS = (
    "select count(*) from marts.dim_leads where location_id = any(%s)"
    " and case %s when 'clients' then status = 'won' else is_open end"
)


class GuardError(LeadEngineError):
    """The guards' file cannot be used."""


class Guards(BaseModel):
    """The limits in ``activation/guards.yaml``, which explains each."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    max_messages: int = Field(ge=0)
    max_cost_cents: int = Field(ge=0)
    max_share_of_open_leads: float = Field(gt=0, le=1)
    max_growth: float = Field(gt=0)
    max_shift: float = Field(gt=0, le=1)
    min_messages: int = Field(ge=0)


def load_guards(path: Path = GUARDS_FILE) -> Guards:
    """Reads the guards.

    Raises:
        GuardError: the file does not fit; names the line and the field.
    """
    try:
        text = path.read_text("utf-8")
        return Guards.model_validate(yaml.safe_load(text))
    except yaml.YAMLError as error:
        raise GuardError(f"{path.name} is not YAML: {error}.", remedy="Correct it.") from error
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(str(part) for part in first["loc"])
        lines = text.splitlines()
        line = next((n for n, one in enumerate(lines, 1) if one.startswith(f"{name}:")), 1)
        raise GuardError(
            f"{path.name}, line {line}: {name}: {first['msg']}.",
            remedy=f"It has these and no others: {', '.join(Guards.model_fields)}.",
        ) from error


def check_guards(connection: psycopg.Connection, plan: DraftPlan, guards: Guards) -> list[str]:
    """Why a plan is refused, a sentence for each guard; empty where all let it pass."""
    messages = plan.counts["send"]
    cost = float(sum(plan.cost_cents.values()))
    found = []
    if messages > guards.max_messages:
        found.append(f"It has {messages:,} messages; {guards.max_messages:,} are allowed.")
    if cost > guards.max_cost_cents:
        found.append(
            f"It costs ${cost / 100:,.2f}; ${guards.max_cost_cents / 100:,.2f} are allowed."
        )
    if messages < guards.min_messages:
        return found
    row = connection.execute(_OPEN_LEADS, (list(plan.locations), plan.written_for)).fetchone()
    open_leads = int(row[0]) if row else 0
    if open_leads and messages / open_leads > guards.max_share_of_open_leads:
        whom = "clients" if plan.written_for == "clients" else "open leads"
        found.append(
            f"It writes to {messages / open_leads:.0%} of all {whom} at once; "
            f"{guards.max_share_of_open_leads:.0%} are allowed."
        )
    last = connection.execute(
        _LAST, (plan.request.audience, plan.sequence, plan.batch_id)
    ).fetchone()
    if last is not None:
        found += _unlike(plan, last[0], guards)
    return found


def _unlike(plan: DraftPlan, last: dict[str, Any], guards: Guards) -> list[str]:
    found = []
    before = int((last.get("counts") or {}).get("send", 0))
    messages = plan.counts["send"]
    if before and messages > before * guards.max_growth:
        found.append(
            f"It has {messages:,} messages, {messages / before:.1f} times as many as the last one; "
            f"{guards.max_growth:g} times are allowed."
        )
    shift = _distance(dict(plan.reasons), last.get("reasons") or {})
    if shift > guards.max_shift:
        found.append(
            f"{shift:.0%} of its decisions went another way than in the last one; "
            f"{guards.max_shift:.0%} are allowed."
        )
    return found


def _distance(now: dict[str, int], before: dict[str, int]) -> float:
    """The share of one distribution that would have to move to make the other (total variation)."""
    total_now, total_before = sum(now.values()), sum(before.values())
    if not total_now or not total_before:
        return 0.0
    return 0.5 * sum(
        abs(now.get(name, 0) / total_now - before.get(name, 0) / total_before)
        for name in now.keys() | before.keys()
    )
