"""Writes score, tier, reason and next action back to GoHighLevel, only where they changed.

What a person changed in our fields since is dealt with by the rule of :mod:`activation.crm_edits`;
tasks, notes and enrollments are made by :mod:`activation.crm_actions`.
"""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Callable, Iterable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

import psycopg
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb

from activation.audit import audit
from activation.crm_actions import GRACE, ActionReport, act_in_location, is_gone
from activation.crm_edits import (
    KEPT,
    SHARED_FIELD,
    Edit,
    edits_of,
    loaded_edits,
    log_edits,
    values_in,
)
from activation.crm_fields import crm_fields
from activation.crm_halt import add_error, halt_if_refused
from activation.crm_tags import CLOSED, TIER_TAGS, write_tags
from activation.marts import reading_marts
from activation.queries import load_sql
from activation.types import WritebackReport
from leadengine.clock import Clock, SystemClock
from leadengine.log import get_logger
from leadengine.settings import LocationConfig, Settings
from providers.errors import ProviderError
from providers.factory import Clients
from providers.ghl import GhlClient
from warehouse.database import Database

_log = get_logger("activation.writeback")
_THREADS_PER_LOCATION = 4
Progress = Callable[[int], None]
Outcome = Literal["written", "gone", "failed"]


@dataclass(frozen=True, slots=True)
class Target:
    """What one contact should carry, and what it carries as far as we know."""

    location_id: str
    contact_id: str
    score: int
    tier: str
    reason: str
    next_action: str
    scored_at: datetime | None
    tags: tuple[str, ...]
    known_digest: str | None
    known_fields: dict[str, Any]
    known_tags: tuple[str, ...]
    known_status: str | None
    is_edited: bool = False

    @property
    def digest(self) -> str:
        """Names what is written, the time of scoring left out: it alone is no change."""
        # The same reasons in another order say nothing new.
        written = json.dumps(
            [self.score, self.tier, sorted(self.reason.split("; ")), self.next_action]
        )
        return hashlib.sha256(written.encode()).hexdigest()

    @property
    def changed(self) -> bool:
        """Whether the fields have to be written."""
        return self.digest != self.known_digest or self.is_edited

    @property
    def action_stands(self) -> bool:
        """Whether a person's next action was found before, for the tier that the lead has."""
        return SHARED_FIELD in self.known_fields and self.known_fields.get(KEPT) == self.tier

    @property
    def fields(self) -> dict[str, str | int]:
        """What our fields shall hold, by our names for them."""
        values: dict[str, str | int] = {
            "score": self.score,
            "tier": self.tier,
            "reason": self.reason,
            "next_action": self.next_action,
        }
        if self.scored_at is not None:
            values["scored_at"] = self.scored_at.date().isoformat()
        return values


def write_back(
    database: Database,
    clients: Clients,
    settings: Settings,
    clock: Clock | None = None,
    *,
    progress: Progress | None = None,
    grace: timedelta = GRACE,
) -> WritebackReport:
    """Writes what changed, hottest first, all locations at once, within their rate limits.

    A row in ``ops.crm_writes`` follows each contact's write, so a run that is cut off goes on
    where it stopped. A contact deleted in the CRM is noted and not tried again until its score
    changes. Tasks, notes and enrollments follow, each made once.

    Args:
        database: with the scores.
        clients: a CRM client per location.
        settings: ``writeback_tiers`` says which tiers the CRM shall show.
        clock: tells the time.
        progress: called with the number of contacts finished.
        grace: see :func:`activation.crm_actions.act_in_location`.

    Raises:
        MartsMissingError: the leads have not been scored yet.
        WritebackHalted: the CRM refuses our token.
    """
    clock = clock or SystemClock()
    by_location: defaultdict[str, list[Target]] = defaultdict(list)
    locations = {location.location_id: location for location in settings.locations()}
    for target in _targets(database, settings.writeback_tiers):
        by_location[target.location_id].append(target)
    report = WritebackReport()
    missing = sorted(set(by_location) - set(clients.ghl))
    for location_id in missing:
        report.errors.append(f"location {location_id} is not configured: its contacts wait")
        by_location.pop(location_id)
    if clients.ghl:
        with ThreadPoolExecutor(len(clients.ghl), thread_name_prefix="writeback") as pool:
            futures = [
                pool.submit(
                    _write_location,
                    database, client, locations[location_id], settings, by_location[location_id],
                    clock, progress or _quiet, grace,
                )
                for location_id, client in clients.ghl.items()
            ]  # fmt: skip
            for future in futures:
                _merge(report, future.result())
    with database.connect() as connection:
        audit(
            connection,
            at=clock.now(),
            actor="writeback",
            action="crm_written",
            entity="crm_writes",
            entity_id="ops.crm_writes",
            detail={k: v for k, v in report.as_dict().items() if k != "errors"},
        )
    return report


def _quiet(_count: int) -> None:
    """Nobody watches."""


def _targets(database: Database, tiers: Iterable[str]) -> list[Target]:
    with (
        reading_marts(),
        database.connect() as connection,
        connection.cursor(row_factory=dict_row) as cursor,
    ):
        rows = cursor.execute(load_sql("writeback_targets"), {"tiers": list(tiers)}).fetchall()
        edited = loaded_edits(connection)
    return [_target(row, (row["location_id"], row["contact_id"]) in edited) for row in rows]


def _target(row: dict[str, Any], is_edited: bool) -> Target:
    is_scored = row["tier"] is not None
    tags = (f"score:{row['tier']}",) if is_scored else ()
    known = tuple(row["tags"] or ())
    if row["field_digest"] is None:
        # Nothing is known about it: an earlier installation may have left any other tier's tag.
        known = tuple(tag for tag in TIER_TAGS if tag not in tags)
    return Target(
        location_id=row["location_id"],
        contact_id=row["contact_id"],
        score=round(row["score"] * 100) if is_scored else 0,
        tier=row["tier"] if is_scored else CLOSED,
        reason=_reason(row["reasons"]) if is_scored else "No longer an open lead.",
        next_action=_next_action(row) if is_scored else "None: no longer an open lead.",
        scored_at=row["as_of"],
        tags=tags,
        known_digest=row["field_digest"],
        known_fields=row["fields"] or {},
        known_tags=known,
        known_status=row["status"],
        is_edited=is_edited,
    )


def _next_action(row: dict[str, Any]) -> str:
    """What the agent should do, by the channel and hour that suit the lead where they are known."""
    channel, hour = row["next_best_channel"], row["next_best_hour"]
    verb = _VERBS.get(channel or "call", _VERBS["call"])
    at = f" around {int(float(hour)):02d}:00" if hour is not None else ""
    return {
        "hot": f"{verb} today{at}",
        "warm": f"{verb} this week{at}",
        "cool": "Leave to the nurture sequence",
        "cold": "Leave to the nurture sequence",
    }[row["tier"]]


_VERBS = {"call": "Call", "sms": "Text", "email": "Email"}


def _reason(reasons: list[dict[str, Any]] | None) -> str:
    sentences = [str(reason["sentence"]).strip() for reason in (reasons or [])[:3]]
    return "; ".join(sentence for sentence in sentences if sentence)[:500]


def _write_location(
    database: Database,
    client: GhlClient,
    location: LocationConfig,
    settings: Settings,
    targets: list[Target],
    clock: Clock,
    progress: Progress,
    grace: timedelta,
) -> WritebackReport:
    report = WritebackReport()
    changed = [target for target in targets if target.changed]
    report.unchanged = len(targets) - len(changed)
    with database.connect() as connection:
        if changed:
            try:
                field_ids, report.fields_created = crm_fields(client)
            except ProviderError as error:
                halt_if_refused(error)
                report.failed += len(changed)
                report.errors.append(f"custom fields: {error.message}")
                return report
            _write_fields(connection, client, field_ids, changed, clock, progress, report)
        write_tags(connection, client, clock, report)
    try:
        made = act_in_location(database, client, location, settings, clock, grace=grace)
    except ProviderError as error:
        halt_if_refused(error)
        report.failed += 1
        add_error(report, error.message)
    else:
        _add_actions(report, made)
    return report


def _add_actions(report: WritebackReport, made: ActionReport) -> None:
    report.tasks += made.tasks
    report.notes += made.notes
    report.enrollments += made.enrollments
    report.actions_found += made.found
    report.actions_waiting += made.waiting
    report.actions_unsettled += made.unsettled
    report.gone += made.gone
    report.failed += made.failed
    for error in made.errors:
        add_error(report, error)


def _write_fields(
    connection: psycopg.Connection,
    client: GhlClient,
    field_ids: dict[str, str],
    changed: list[Target],
    clock: Clock,
    progress: Progress,
    report: WritebackReport,
) -> None:
    """Requests go out in parallel; this thread alone notes each as it is done."""
    queue = iter(changed)
    running: dict[Future[tuple[Outcome, str | None, list[Edit]]], Target] = {}
    with ThreadPoolExecutor(_THREADS_PER_LOCATION) as pool:
        while True:
            while len(running) < 2 * _THREADS_PER_LOCATION:
                target = next(queue, None)
                if target is None:
                    break
                running[pool.submit(_write_contact, client, field_ids, target)] = target
            if not running:
                return
            done, _ = wait(running, return_when=FIRST_COMPLETED)
            for future in done:
                target = running.pop(future)
                outcome, error, edits = future.result()
                if outcome == "written":
                    report.written += 1
                elif outcome == "gone":
                    report.gone += 1
                else:
                    report.failed += 1
                    add_error(report, error)
                if outcome != "failed":
                    report.conflicts += len(edits)
                    log_edits(connection, target.location_id, target.contact_id, edits, clock.now())
                    _note(connection, target, outcome, edits, clock.now())
                progress(1)


def _write_contact(
    client: GhlClient, field_ids: dict[str, str], target: Target
) -> tuple[Outcome, str | None, list[Edit]]:
    values = target.fields
    edits: list[Edit] = []
    try:
        if target.known_fields:
            # Written before: somebody may have changed it since.
            found = values_in(client.get_contact(target.contact_id), field_ids)
            edits = edits_of(target.known_fields, found, target.tier)
            if target.action_stands or any(edit.stands for edit in edits):
                values.pop(SHARED_FIELD)
        client.update_contact(
            target.contact_id, {field_ids[name]: value for name, value in values.items()}
        )
    except ProviderError as error:
        halt_if_refused(error)
        if is_gone(client, target.contact_id, error):
            return "gone", None, []
        return "failed", error.message, []
    return "written", None, edits


def _note(
    connection: psycopg.Connection,
    target: Target,
    outcome: Outcome,
    edits: list[Edit],
    now: datetime,
) -> None:
    if outcome == "gone":
        status = "gone"
    else:
        status = "written" if target.tags == target.known_tags else "tags_pending"
    fields = target.fields
    if target.action_stands:
        fields[SHARED_FIELD] = target.known_fields[SHARED_FIELD]
        fields[KEPT] = target.tier
    for edit in edits:
        if edit.stands:
            fields[edit.field] = edit.theirs
            fields[KEPT] = target.tier
    # Until the tags are changed too, the row keeps those that the contact still carries.
    connection.execute(
        "insert into ops.crm_writes"
        " (location_id, contact_id, field_digest, fields, tags, written_at, status)"
        " values (%s, %s, %s, %s, %s, %s, %s)"
        " on conflict (location_id, contact_id) do update set"
        " field_digest = excluded.field_digest, fields = excluded.fields,"
        " written_at = excluded.written_at, status = excluded.status",
        (
            target.location_id, target.contact_id, target.digest, Jsonb(fields),
            list(target.known_tags), now, status,
        ),
    )  # fmt: skip
    connection.commit()


def _merge(report: WritebackReport, other: WritebackReport) -> None:
    report.written += other.written
    report.unchanged += other.unchanged
    report.gone += other.gone
    report.failed += other.failed
    report.fields_created += other.fields_created
    report.tag_changes += other.tag_changes
    report.conflicts += other.conflicts
    report.tasks += other.tasks
    report.notes += other.notes
    report.enrollments += other.enrollments
    report.actions_found += other.actions_found
    report.actions_waiting += other.actions_waiting
    report.actions_unsettled += other.actions_unsettled
    report.errors.extend(other.errors)
