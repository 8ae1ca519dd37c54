"""Moves enrolled leads from step to step: what the worker does each round.

An approval covers the whole sequence: the plan that was approved names the sequence as it was and
the version of each template, and its digest covers both. Later steps are taken from there. A later
step whose template has changed since is void, and the lead's journey ends with that reason.

A later step's message takes the same way as a first one: a row of intent in ``ops.sends`` under a
key of lead, sequence and step, then claim, check at the moment of sending, effect, receipt.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, get_args
from uuid import UUID

import psycopg
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb

from activation.audience import Audience, WrittenFor
from activation.audit import audit
from activation.candidates import read_candidates
from activation.journey import Advance, Journey, JourneyEvent, Standing, advance, end, not_queued
from activation.journey_events import read_events
from activation.queries import load_sql
from activation.routing import route
from activation.rulebook import RuleBook, current_rules
from activation.senders import Sender, able, location_names, senders
from activation.sequence import Sequence
from activation.templating import TemplateLibrary, TemplateProblem, lead_variables
from activation.types import Candidate, Channel, Decision, Verdict
from activation.unsubscribe import secret_key, unsubscribe_url
from leadengine.clock import Clock
from leadengine.settings import Settings
from warehouse.database import Database

_CHUNK = 200
# How soon a message that was queued is looked at again; and how late, at the latest, a stop is
# noticed that came while nothing was due.
_SOON = timedelta(minutes=1)
_LATEST = timedelta(hours=6)
_EVERYBODY: dict[WrittenFor, Audience] = {
    of: Audience(name="enrolled", description="whoever is on the way", of=of)
    for of in get_args(WrittenFor)
}


@dataclass(slots=True)
class JourneyReport:
    """What a round did. ``queued`` counts by step, ``ended`` by reason."""

    enrolled: int = 0
    looked_at: int = 0
    queued: Counter[int] = field(default_factory=Counter)
    ended: Counter[str] = field(default_factory=Counter)

    def as_dict(self) -> dict[str, Any]:
        """The report, ready for JSON."""
        return {
            "enrolled": self.enrolled,
            "looked_at": self.looked_at,
            "queued": {str(step): count for step, count in sorted(self.queued.items())},
            "ended": dict(self.ended),
        }


def advance_due(
    database: Database,
    settings: Settings,
    clock: Clock,
    *,
    library: TemplateLibrary | None = None,
    rules: RuleBook | None = None,
) -> JourneyReport:
    """Enrolls who is new, and moves everyone whose time has come.

    Several processes may do this at once. Each chunk is one transaction: where stands, notes and
    intents are written together or not at all.

    Args:
        database: with the queue and the marts.
        settings: senders and addresses.
        clock: tells the time.
        library: templates; those that ship if not given.
        rules: the rule book; the one that ships if not given.
    """
    report = JourneyReport()
    now = clock.now()
    if not _anything_to_do(database, now):
        return report
    found = senders(settings, database)
    mover = _Mover(
        settings, found, location_names(database), library or TemplateLibrary(),
        rules or current_rules(), now, report,
    )  # fmt: skip
    with database.connect() as connection:
        report.enrolled = connection.execute(load_sql("enroll"), {"now": now}).rowcount
    while True:
        with database.connect() as connection, connection.cursor(row_factory=dict_row) as cursor:
            due = cursor.execute(
                load_sql("enrollments_due"), {"now": now, "limit": _CHUNK}
            ).fetchall()
            if not due:
                return report
            mover.move(connection, due)


def stop_batch(database: Database, batch_id: UUID, *, stopped_by: str, clock: Clock) -> int:
    """Ends every journey of a batch and cancels what is queued for its later steps.

    Returns:
        How many journeys were ended.
    """
    now = clock.now()
    with database.connect() as connection:
        with connection.cursor(row_factory=dict_row) as cursor:
            rows = cursor.execute(
                "select * from ops.enrollments where batch_id = %s and status = 'active'"
                " for update",
                (batch_id,),
            ).fetchall()
        for row in rows:
            _write(connection, row, end(_journey(row), "stopped_by_hand", now), now)
        audit(
            connection,
            at=now,
            actor=stopped_by,
            action="journeys_stopped",
            entity="batch",
            entity_id=str(batch_id),
            detail={"stopped": len(rows)},
        )
    return len(rows)


def _anything_to_do(database: Database, now: datetime) -> bool:
    with database.connect() as connection:
        row = connection.execute(
            "select exists (select from ops.batches where enrolled_at is null"
            " and status in ('dispatching', 'done', 'cancelled') and summary ? 'journey')"
            " or exists (select from ops.enrollments"
            " where status = 'active' and next_check_at <= %s)",
            (now,),
        ).fetchone()
    return bool(row and row[0])


class _Mover:
    """Moves chunks of enrollments, all at the same moment."""

    def __init__(
        self,
        settings: Settings,
        found: dict[str, Sender],
        names: dict[str, str],
        library: TemplateLibrary,
        rules: RuleBook,
        now: datetime,
        report: JourneyReport,
    ) -> None:
        self._settings = settings
        self._senders = found
        self._names = names | {sender.location_id: sender.name for sender in found.values()}
        self._library = library
        self._rules = rules
        self._now = now
        self._report = report
        self._key = secret_key(settings)
        self._sequences: dict[UUID, Sequence] = {}

    def move(self, connection: psycopg.Connection, due: list[dict[str, Any]]) -> None:
        """One chunk, in the caller's transaction."""
        events = read_events(
            connection,
            {row["lead_id"] for row in due},
            since=min(row["enrolled_at"] for row in due),
            batch_ids={row["batch_id"] for row in due},
        )
        to_send: defaultdict[tuple[str, int, WrittenFor], list[tuple[dict[str, Any], Advance]]] = (
            defaultdict(list)
        )
        for row in due:
            own = [
                event
                for batch_id, event in events.get(row["lead_id"], [])
                if batch_id in {None, row["batch_id"]}
            ]
            moved = self._advance(row, own)
            if moved.send is None:
                self._keep(connection, row, moved)
            else:
                written_for = self._sequence(row).written_for
                to_send[row["sequence"], moved.send, written_for].append((row, moved))
        for (sequence, step, written_for), waiting in to_send.items():
            candidates = self._candidates(connection, sequence, step, written_for, waiting)
            for row, moved in waiting:
                kept = self._queue(connection, row, moved, step, candidates.get(row["lead_id"]))
                self._keep(connection, row, kept)

    def _advance(self, row: dict[str, Any], events: list[JourneyEvent]) -> Advance:
        journey = _journey(row)
        if row["batch_status"] == "cancelled":
            return end(journey, "batch_cancelled", self._now)
        return advance(self._sequence(row), journey, events, self._now)

    def _sequence(self, row: dict[str, Any]) -> Sequence:
        if row["batch_id"] not in self._sequences:
            self._sequences[row["batch_id"]] = Sequence.from_text(row["journey"]["sequence"])
        return self._sequences[row["batch_id"]]

    def _candidates(
        self,
        connection: psycopg.Connection,
        sequence: str,
        step: int,
        written_for: WrittenFor,
        waiting: list[tuple[dict[str, Any], Advance]],
    ) -> dict[str, Candidate]:
        found = read_candidates(
            connection,
            _EVERYBODY[written_for],
            sequence=sequence,
            step=step,
            as_of=self._now,
            rules=self._rules,
            lead_ids=[row["lead_id"] for row, _ in waiting],
        )
        return {candidate.lead_id: candidate for candidate, _ in found}

    def _queue(
        self,
        connection: psycopg.Connection,
        row: dict[str, Any],
        moved: Advance,
        step: int,
        candidate: Candidate | None,
    ) -> Advance:
        """Writes the intent of a step that is due, or says why there is none."""
        if candidate is None:
            # Closed, merged into another lead, without a score, or a client no more.
            return not_queued(moved, "lead_closed", self._now)
        decision = route(
            self._sequence(row),
            step,
            candidate,
            self._now,
            self._rules,
            channels=frozenset(Channel(channel) for channel in row["batch_channels"]),
            senders=able(self._senders),
        )
        if decision.verdict is not Verdict.SEND or decision.channel is None:
            return not_queued(moved, decision.reason.value, self._now)
        template_id = self._sequence(row).step(step).templates[decision.channel]
        if not self._is_as_approved(row, template_id):
            return not_queued(moved, "template_changed", self._now)
        self._write_intent(connection, row, step, candidate, decision, template_id)
        self._report.queued[step] += 1
        at = decision.send_at or self._now
        return replace(moved, look_again=max(at, self._now) + _SOON)

    def _is_as_approved(self, row: dict[str, Any], template_id: str) -> bool:
        try:
            version = self._library.get(template_id).version
        except TemplateProblem:
            return False
        return bool(row["journey"]["templates"].get(template_id) == version)

    def _write_intent(
        self,
        connection: psycopg.Connection,
        row: dict[str, Any],
        step: int,
        candidate: Candidate,
        decision: Decision,
        template_id: str,
    ) -> None:
        assert decision.channel is not None  # noqa: S101 - a decision to send names its channel
        sender = self._senders[candidate.location_id]
        brokerage = self._names.get(candidate.location_id) or self._settings.sender_name
        variables = lead_variables(candidate.facts, brokerage) | {
            "booking_url": self._settings.booking_url or "",
            "sender_name": self._settings.sender_name,
            "postal_address": self._settings.sender_postal_address,
            "unsubscribe_url": unsubscribe_url(
                self._settings, self._key, candidate.location_id, candidate.lead_id
            ),
        }
        message = self._library.render(template_id, variables)
        consent = candidate.channels[decision.channel].consent
        connection.execute(
            load_sql("create_step_intent"),
            {
                "batch_id": row["batch_id"],
                "lead_id": candidate.lead_id,
                "location_id": candidate.location_id,
                "contact_id": candidate.contact_id or row["contact_id"],
                "channel": decision.channel.value,
                "to_address": decision.address,
                "from_address": sender.address(decision.channel),
                "subject": message.subject,
                "body": message.body,
                "template_id": template_id,
                "template_version": message.template_version,
                "sequence": row["sequence"],
                "step": step,
                "not_before": decision.send_at or self._now,
                "consent_log_id": consent.consent_log_id if consent else None,
                "rule_version": self._rules.version,
                "score": candidate.score,
                "now": self._now,
            },
        )

    def _keep(self, connection: psycopg.Connection, row: dict[str, Any], moved: Advance) -> None:
        self._report.looked_at += 1
        if moved.journey.standing is not Standing.ACTIVE:
            self._report.ended[moved.journey.ended_by or ""] += 1
        _write(connection, row, moved, self._now)


def _journey(row: dict[str, Any]) -> Journey:
    return Journey(
        enrolled_at=row["enrolled_at"],
        zone=row["zone"],
        step=row["step"],
        step_at=row["step_at"],
        pending=row["pending_step"],
        pending_since=row["pending_since"],
    )


def _write(
    connection: psycopg.Connection, row: dict[str, Any], moved: Advance, now: datetime
) -> None:
    """Stores where a journey stands and what was noted; an end cancels what is queued for it."""
    journey = moved.journey
    is_active = journey.standing is Standing.ACTIVE
    soonest = now + _SOON
    again = max(soonest, min(moved.look_again or soonest, now + _LATEST)) if is_active else None
    connection.execute(
        "update ops.enrollments set status = %s, step = %s, step_at = %s, pending_step = %s,"
        " pending_since = %s, next_check_at = %s, ended_at = %s, ended_by = %s, updated_at = %s"
        " where enrollment_id = %s",
        (
            journey.standing.value, journey.step, journey.step_at, journey.pending,
            journey.pending_since, again, journey.ended_at, journey.ended_by, now,
            row["enrollment_id"],
        ),
    )  # fmt: skip
    for note in moved.notes:
        connection.execute(
            "insert into ops.enrollment_events (enrollment_id, location_id, at, kind, step,"
            " detail, created_at) values (%s, %s, %s, %s, %s, %s, %s)",
            (
                row["enrollment_id"], row["location_id"], note.at, note.kind, note.step,
                Jsonb(note.detail), now,
            ),
        )  # fmt: skip
    if not is_active:
        connection.execute(
            "update ops.sends set status = 'cancelled', status_reason = %s, settled_at = %s,"
            " idempotency_key = idempotency_key || '#cancelled:' || send_id"
            " where batch_id = %s and lead_id = %s and sequence = %s and status = 'intent'",
            (journey.ended_by, now, row["batch_id"], row["lead_id"], row["sequence"]),
        )
