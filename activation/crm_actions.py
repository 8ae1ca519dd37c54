"""Tasks, notes and workflow enrollments in the CRM: each is made exactly once.

A row in ``ops.crm_actions`` is written before any request leaves. Notes and tasks carry a mark of
that row in their text, so that one whose answer was lost, or whose run was killed, is looked for in
the CRM before it is made again. The CRM does not tell which workflows a contact is in: an
enrollment whose answer was lost is left to a person.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from typing import Any, Literal
from uuid import UUID
from zoneinfo import ZoneInfo

import holidays
import psycopg
from psycopg.rows import dict_row

from activation.audit import audit
from activation.queries import load_sql
from leadengine.clock import Clock
from leadengine.settings import LocationConfig, Settings
from providers.errors import NotSent, ProviderError, Rejected, Unknown
from providers.ghl import GhlClient
from warehouse.database import Database

GRACE = timedelta(seconds=90)
"""How long a request whose answer nobody saw may still be on its way; three times its timeout."""
_DUE_AT = time(17)
_LOCK = 7_310_429
_MOST_ATTEMPTS = 5
_SATURDAY = 5
Kind = Literal["task", "note", "workflow"]


@dataclass(slots=True)
class ActionReport:
    """What was made in one location, and what was not."""

    tasks: int = 0
    notes: int = 0
    enrollments: int = 0
    found: int = 0
    gone: int = 0
    failed: int = 0
    waiting: int = 0
    unsettled: int = 0
    errors: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Action:
    """One row of ``ops.crm_actions``."""

    action_id: UUID
    contact_id: str
    kind: Kind
    content: dict[str, Any]
    status: str
    attempts: int
    created_at: datetime
    tried_at: datetime | None

    @property
    def mark(self) -> str:
        """What the text of our note or task ends with, and is known by."""
        return f"[engine {self.action_id.hex[:16]}]"


def act_in_location(
    database: Database,
    client: GhlClient,
    location: LocationConfig,
    settings: Settings,
    clock: Clock,
    *,
    grace: timedelta = GRACE,
) -> ActionReport:
    """Plans what is due in a location and makes it, oldest first; restartable at any moment.

    Args:
        database: with marts and sends.
        client: of the location.
        location: gives the time zone of due dates.
        settings: ``writeback_tasks_a_day``, ``writeback_notes``, ``writeback_workflows``.
        clock: tells the time.
        grace: age at which an attempt without an answer is looked for in the CRM.

    Raises:
        ProviderError: the CRM refuses our token.
    """
    report = ActionReport()
    with database.connect() as connection:
        # One run at a time in a location: the lock goes with the connection, so also with a kill.
        taken = connection.execute(
            "select pg_try_advisory_lock(%s, hashtext(%s))", (_LOCK, location.location_id)
        ).fetchone()
        connection.commit()
        if taken is None or not taken[0]:
            report.errors.append(f"{location.location_id}: another write-back is at work here")
            return report
        try:
            _plan(connection, client, location, settings, clock.now(), report)
            for action in _open_actions(connection, location.location_id):
                _carry_out(connection, client, location, action, clock, grace, report)
        finally:
            connection.rollback()
            connection.execute(
                "select pg_advisory_unlock(%s, hashtext(%s))", (_LOCK, location.location_id)
            )
            connection.commit()
    return report


def _plan(
    connection: psycopg.Connection,
    client: GhlClient,
    location: LocationConfig,
    settings: Settings,
    now: datetime,
    report: ActionReport,
) -> None:
    keys = {"location_id": location.location_id, "now": now}
    if settings.writeback_tasks_a_day:
        connection.execute(
            load_sql("plan_crm_tasks"),
            keys
            | {"a_day": settings.writeback_tasks_a_day, "tiers": list(settings.writeback_tiers)},
        )
    if settings.writeback_notes:
        connection.execute(load_sql("plan_crm_notes"), keys)
    wanted = settings.workflows_of(location.location_id)
    if wanted:
        published = {
            str(flow["id"]) for flow in client.list_workflows() if flow.get("status") == "published"
        }
        for tier, workflow_id in wanted.items():
            if workflow_id not in published:
                report.errors.append(
                    f"WRITEBACK_WORKFLOWS: {workflow_id} for {tier} is no published workflow of"
                    f" location {location.location_id}; publish it or take it out"
                )
                continue
            connection.execute(
                load_sql("plan_crm_workflows"), keys | {"tier": tier, "workflow_id": workflow_id}
            )
    connection.commit()


def _open_actions(connection: psycopg.Connection, location_id: str) -> list[Action]:
    with connection.cursor(row_factory=dict_row) as cursor:
        rows = cursor.execute(
            "select action_id, contact_id, kind, content, status, attempts, created_at, tried_at"
            " from ops.crm_actions where location_id = %s and status in ('intent', 'trying')"
            " order by kind = 'note', created_at, action_id",
            (location_id,),
        ).fetchall()
    connection.commit()
    return [Action(**row) for row in rows]


def _carry_out(
    connection: psycopg.Connection,
    client: GhlClient,
    location: LocationConfig,
    action: Action,
    clock: Clock,
    grace: timedelta,
    report: ActionReport,
) -> None:
    if action.status == "trying":
        if action.tried_at is not None and clock.now() - action.tried_at < grace:
            report.waiting += 1
            return
        if action.kind == "workflow":
            _settle(connection, action, location, "unsettled", clock.now(), error="answer lost")
            report.unsettled += 1
            return
        try:
            known = _look_up(client, action)
        except ProviderError as error:
            _failed(connection, client, location, action, error, clock, report)
            return
        if known is not None:
            _settle(connection, action, location, "done", clock.now(), provider_id=known)
            report.found += 1
            return
    connection.execute(
        "update ops.crm_actions set status = 'trying', tried_at = %s, attempts = attempts + 1"
        " where action_id = %s",
        (clock.now(), action.action_id),
    )
    connection.commit()
    try:
        provider_id = _MAKERS[action.kind](client, location, action)
    except Unknown:
        # Looked for at the next run, once it cannot be on its way any more.
        report.waiting += 1
    except ProviderError as error:
        _failed(connection, client, location, action, error, clock, report)
    else:
        _settle(connection, action, location, "done", clock.now(), provider_id=provider_id)
        if action.kind == "task":
            report.tasks += 1
        elif action.kind == "note":
            report.notes += 1
        else:
            report.enrollments += 1


def _failed(
    connection: psycopg.Connection,
    client: GhlClient,
    location: LocationConfig,
    action: Action,
    error: ProviderError,
    clock: Clock,
    report: ActionReport,
) -> None:
    """Nothing was made. A request that never left is tried again, a refused one some times."""
    if isinstance(error, Rejected) and error.status in {401, 403}:
        _back(connection, action, error.message)
        raise error
    if is_gone(client, action.contact_id, error):
        _settle(connection, action, location, "gone", clock.now(), error=error.message)
        report.gone += 1
        return
    if isinstance(error, NotSent) or action.attempts + 1 < _MOST_ATTEMPTS:
        _back(connection, action, error.message)
    else:
        _settle(connection, action, location, "failed", clock.now(), error=error.message)
    report.failed += 1
    report.errors.append(f"{action.kind}: {error.message}")


def _look_up(client: GhlClient, action: Action) -> str | None:
    """The id of what was made for an action, if the CRM has it."""
    if action.kind == "note":
        entries = client.list_notes(action.contact_id)
    else:
        entries = client.list_contact_tasks(action.contact_id)
    for entry in entries:
        if action.mark in str(entry.get("body") or ""):
            return str(entry["id"])
    return None


def _make_task(client: GhlClient, location: LocationConfig, action: Action) -> str | None:
    content = action.content
    reasons = [str(reason.get("sentence") or "") for reason in content.get("reasons") or []]
    text = [f"{sentence.rstrip('.')}." for sentence in reasons[:3] if sentence]
    task = client.create_task(
        action.contact_id,
        f"Call this lead: {content['score']} % likely to convert",
        due_at(action.created_at, ZoneInfo(location.timezone)),
        body="\n".join([*text, action.mark]),
        assigned_to=content.get("assigned_to") or None,
    )
    return str(task.get("id") or "") or None


def _make_note(client: GhlClient, _location: LocationConfig, action: Action) -> str | None:
    content = action.content
    word = "Text message" if content["channel"] == "sms" else "Email"
    lines = [
        f"{word} sent {content['sent_at'][:16].replace('T', ' ')} UTC: sequence"
        f" {content['sequence']}, step {content['step']}, approved by {content['approved_by']}."
    ]
    if content.get("subject"):
        lines.append(f"Subject: {content['subject']}")
    note = client.add_note(action.contact_id, "\n".join([*lines, content["body"], action.mark]))
    return str(note.get("id") or "") or None


def _enroll(client: GhlClient, _location: LocationConfig, action: Action) -> str | None:
    client.add_to_workflow(action.contact_id, action.content["workflow_id"])
    return None


_MAKERS: dict[Kind, Callable[[GhlClient, LocationConfig, Action], str | None]] = {
    "task": _make_task,
    "note": _make_note,
    "workflow": _enroll,
}


def due_at(now: datetime, zone: ZoneInfo) -> datetime:
    """17:00 of the next business day there: no weekend, no federal holiday of the US."""
    day = now.astimezone(zone).date() + timedelta(days=1)
    while not _is_business_day(day):
        day += timedelta(days=1)
    return datetime.combine(day, _DUE_AT, zone)


def _is_business_day(day: date) -> bool:
    return day.weekday() < _SATURDAY and day not in holidays.country_holidays("US", years=day.year)


def is_gone(client: GhlClient, contact_id: str, error: ProviderError) -> bool:
    """Whether a refusal means that the contact was deleted.

    The live API answers 404 or 400 for a deleted contact; 400 may also mean a bad value.
    """
    if not isinstance(error, Rejected) or error.status not in {400, 404}:
        return False
    if error.status == 404:
        return True
    try:
        client.get_contact(contact_id)
    except Rejected as answer:
        return answer.status in {400, 404}
    except ProviderError:
        return False
    return False


def _back(connection: psycopg.Connection, action: Action, error: str) -> None:
    connection.execute(
        "update ops.crm_actions set status = 'intent', error = %s where action_id = %s",
        (error, action.action_id),
    )
    connection.commit()


def _settle(
    connection: psycopg.Connection,
    action: Action,
    location: LocationConfig,
    status: str,
    now: datetime,
    *,
    provider_id: str | None = None,
    error: str | None = None,
) -> None:
    connection.execute(
        "update ops.crm_actions set status = %s, provider_id = %s, error = %s, settled_at = %s"
        " where action_id = %s",
        (status, provider_id, error, now, action.action_id),
    )
    audit(
        connection,
        at=now,
        actor="writeback",
        action=f"crm_{action.kind}_{status}",
        entity="crm_action",
        entity_id=str(action.action_id),
        location_id=location.location_id,
        detail={"contact_id": action.contact_id, "provider_id": provider_id},
    )
    connection.commit()
