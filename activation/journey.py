"""A lead's way through a sequence: a pure function of what has happened, so it can be replayed.

:func:`advance` is what the worker calls and what the simulator calls. It sends nothing and reads
nothing: it looks at the sequence, at where the lead stands and at the events known by then, and
says what comes next and on what evidence.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from functools import lru_cache
from typing import Any, Literal
from zoneinfo import ZoneInfo

import holidays

from activation.sequence import Condition, Sequence, Wait

_UNITS = {
    "hour": timedelta(hours=1),
    "day": timedelta(days=1),
    "week": timedelta(weeks=1),
}
# Nothing wrong with the lead: its time has not come, and it is tried again.
TRY_AGAIN = frozenset({"frequency_cap"})
TRY_AGAIN_AFTER = timedelta(hours=1)


class EventKind(StrEnum):
    """What can happen to a lead on its way. The first five can end a sequence."""

    REPLY = "reply"
    CLICK = "click"
    OPT_OUT = "opt_out"
    APPOINTMENT = "appointment"
    WON = "won"
    OPEN = "open"
    TIER = "tier"
    SENT = "sent"
    REFUSED = "refused"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True)
class JourneyEvent:
    """One thing that happened, and how we know.

    Args:
        kind: what.
        at: when it happened, aware.
        evidence: names the row or receipt that tells of it, such as ``twilio:SM12``.
        known_at: when we learned of it; ``at`` if not given.
        value: of ``tier`` the tier; of ``cancelled`` and ``refused`` the reason.
        step: of ``sent``, ``refused`` and ``cancelled`` the step.
    """

    kind: EventKind
    at: datetime
    evidence: str
    known_at: datetime | None = None
    value: str | None = None
    step: int | None = None

    def seen_by(self, now: datetime) -> bool:
        """Whether it had happened and was known at ``now``."""
        return self.at <= now and (self.known_at or self.at) <= now


class Standing(StrEnum):
    """How far a journey is."""

    ACTIVE = "active"
    COMPLETED = "completed"
    STOPPED = "stopped"


@dataclass(frozen=True, slots=True)
class Journey:
    """Where a lead stands in a sequence.

    Args:
        enrolled_at: from when on events count, aware.
        zone: the lead's IANA time zone, by which business days are counted.
        step: the last step that is done; 0 before the first.
        step_at: when that was.
        pending: the step that was handed over and of which nothing is known yet.
        pending_since: when that was.
        standing: active until it is completed or stopped.
        ended_at, ended_by: when and why it ended.
    """

    enrolled_at: datetime
    zone: str = "UTC"
    step: int = 0
    step_at: datetime | None = None
    pending: int | None = None
    pending_since: datetime | None = None
    standing: Standing = Standing.ACTIVE
    ended_at: datetime | None = None
    ended_by: str | None = None


@dataclass(frozen=True, slots=True)
class Note:
    """One thing worth keeping about a journey: what was decided, when, and on what evidence."""

    at: datetime
    kind: Literal["sent", "refused", "cancelled", "branch", "queued", "completed", "stopped"]
    step: int
    detail: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Advance:
    """What comes next.

    ``send`` names the step to hand over now; ``look_again`` the moment before which nothing
    changes unless an event comes; both are None once the journey has ended, and while the outcome
    of a message is awaited.
    """

    journey: Journey
    notes: tuple[Note, ...] = ()
    send: int | None = None
    look_again: datetime | None = None


def advance(
    sequence: Sequence, journey: Journey, events: Iterable[JourneyEvent], now: datetime
) -> Advance:
    """Moves a journey as far as it goes at ``now``; a second call with the same changes nothing.

    What stops a sequence wins over everything else. A step that was refused counts as done, since
    it is never repeated; one that was cancelled for a reason that passes is handed over again, and
    any other cancellation ends the journey. Steps only ever go up, so none is sent twice.

    Args:
        sequence: as it was approved.
        journey: where the lead stands.
        events: what has happened; those not known by ``now`` are passed over.
        now: aware.
    """
    if journey.standing is not Standing.ACTIVE:
        return Advance(journey)
    seen = sorted((event for event in events if event.seen_by(now)), key=lambda e: e.at)
    notes: list[Note] = []
    outcome = _outcome(journey, seen)
    if outcome is not None and outcome.kind is not EventKind.CANCELLED:
        notes.append(_outcome_note(outcome))
        journey = replace(
            journey,
            step=journey.pending or 0,
            step_at=outcome.at,
            pending=None,
            pending_since=None,
        )
    stop = _stop(sequence, journey, seen)
    if stop is not None:
        return _ended(journey, Standing.STOPPED, stop.kind.value, now, stop, notes)
    if journey.pending is not None:
        if outcome is None:
            return Advance(journey)
        if not _passes(sequence, outcome):
            why = outcome.value or "cancelled"
            return _ended(journey, Standing.STOPPED, why, now, outcome)
        notes.append(_outcome_note(outcome))
        journey = replace(journey, pending=None, pending_since=None)
    return _next(sequence, journey, seen, now, notes)


def _next(
    sequence: Sequence,
    journey: Journey,
    seen: list[JourneyEvent],
    now: datetime,
    notes: list[Note],
) -> Advance:
    if journey.step == 0 or journey.step_at is None:
        return _hand_over(journey, 1, now, notes)
    step = sequence.step(journey.step)
    if step.wait is None:
        return _ended(journey, Standing.COMPLETED, "last_step", now, notes=notes)
    due = after_wait(journey.step_at, step.wait, journey.zone)
    if now < due:
        return Advance(journey, tuple(notes), look_again=due)
    since = [event for event in seen if event.at >= journey.step_at]
    target: int | Literal["end"] = sequence.after(journey.step)
    for number, branch in enumerate(step.branches, start=1):
        proof = _holds(branch.when, since, seen, journey.step_at)
        if proof is not None:
            target = branch.go_to
            notes.append(
                Note(
                    now, "branch", journey.step,
                    {"branch": number, "when": str(branch.when), "go_to": target} | proof,
                )
            )  # fmt: skip
            break
    if target == "end":
        return _ended(journey, Standing.COMPLETED, "end_of_sequence", now, notes=notes)
    return _hand_over(journey, target, now, notes)


def _hand_over(journey: Journey, step: int, now: datetime, notes: list[Note]) -> Advance:
    moved = replace(journey, pending=step, pending_since=now)
    return Advance(moved, (*notes, Note(now, "queued", step)), send=step)


def not_queued(moved: Advance, reason: str, now: datetime) -> Advance:
    """What becomes of a journey whose step may not be handed over, by the rules of that moment.

    Args:
        moved: what :func:`advance` said; its ``send`` did not happen.
        reason: why, as a reason code.
        now: aware.
    """
    # A branch is decided anew when the step is tried again: by then more may have happened.
    kept = tuple(note for note in moved.notes if note.kind not in {"branch", "queued"})
    journey = replace(moved.journey, pending=None, pending_since=None)
    if reason in TRY_AGAIN:
        return Advance(journey, kept, look_again=now + TRY_AGAIN_AFTER)
    ended = replace(moved.journey, pending=moved.send)
    return _ended(ended, Standing.STOPPED, reason, now, notes=kept)


def end(journey: Journey, why: str, now: datetime) -> Advance:
    """Ends a journey for a reason that lies outside of it, such as its batch being called off."""
    return _ended(journey, Standing.STOPPED, why, now)


def _stop(sequence: Sequence, journey: Journey, seen: list[JourneyEvent]) -> JourneyEvent | None:
    for event in seen:
        if event.kind.value in sequence.stop_on and event.at >= journey.enrolled_at:
            return event
    return None


def _outcome(journey: Journey, seen: list[JourneyEvent]) -> JourneyEvent | None:
    kinds = {EventKind.SENT, EventKind.REFUSED, EventKind.CANCELLED}
    if journey.pending is None:
        return None
    for event in reversed(seen):
        if event.kind in kinds and event.step == journey.pending:
            is_older = journey.pending_since is not None and event.at < journey.pending_since
            return None if is_older else event
    return None


def _passes(sequence: Sequence, cancelled: JourneyEvent) -> bool:
    """Whether what cancelled a message leaves the journey going."""
    if cancelled.value == "replied":
        return "reply" not in sequence.stop_on
    return cancelled.value in TRY_AGAIN


def _outcome_note(event: JourneyEvent) -> Note:
    kind: Literal["sent", "refused", "cancelled"] = (
        "sent"
        if event.kind is EventKind.SENT
        else "refused"
        if event.kind is EventKind.REFUSED
        else "cancelled"
    )
    return Note(event.at, kind, event.step or 0, _proof(event))


def _ended(
    journey: Journey,
    standing: Literal[Standing.COMPLETED, Standing.STOPPED],
    why: str,
    now: datetime,
    event: JourneyEvent | None = None,
    notes: Iterable[Note] = (),
) -> Advance:
    at = event.at if event is not None else now
    ended = replace(
        journey, standing=standing, ended_at=at, ended_by=why, pending=None, pending_since=None
    )
    detail = {"reason": why} | (_proof(event) if event is not None else {})
    kind: Literal["completed", "stopped"] = (
        "completed" if standing is Standing.COMPLETED else "stopped"
    )
    return Advance(ended, (*notes, Note(now, kind, journey.pending or journey.step, detail)))


def _holds(
    condition: Condition,
    since: list[JourneyEvent],
    seen: list[JourneyEvent],
    step_at: datetime,
) -> dict[str, Any] | None:
    """The evidence for a condition, or None if it does not hold."""
    evidence: list[dict[str, Any]] = []
    for name, wanted in condition.model_dump(exclude_none=True, exclude={"tier"}).items():
        found = next((event for event in since if event.kind.value == name), None)
        if (found is not None) != wanted:
            return None
        nothing = {"nothing": name, "since": step_at.isoformat()}
        evidence.append(_proof(found) if found is not None else nothing)
    if condition.tier is not None:
        newest = next((e for e in reversed(seen) if e.kind is EventKind.TIER), None)
        if newest is None or newest.value not in condition.tier:
            return None
        evidence.append(_proof(newest))
    return {"evidence": evidence}


def _proof(event: JourneyEvent) -> dict[str, Any]:
    proof = {"event": event.kind.value, "at": event.at.isoformat(), "evidence": event.evidence}
    return proof | ({"value": event.value} if event.value else {})


def after_wait(at: datetime, wait: Wait, zone: str) -> datetime:
    """The moment when a wait that began at ``at`` is over, in the zone of ``at``.

    Business days are Monday to Friday but for the federal holidays of the United States; they end
    at the same time of day, by the clock of ``zone``.
    """
    if wait.unit != "business day":
        return at + wait.number * _UNITS[wait.unit]
    local = at.astimezone(ZoneInfo(zone))
    day, left = local.date(), wait.number
    while left:
        day += timedelta(days=1)
        left -= int(day.weekday() < 5 and day not in _holidays(day.year))
    return datetime.combine(day, local.time(), tzinfo=local.tzinfo).astimezone(at.tzinfo)


@lru_cache(maxsize=16)
def _holidays(year: int) -> frozenset[Any]:
    return frozenset(holidays.country_holidays("US", years=year))
