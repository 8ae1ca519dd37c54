"""Replays a sequence against a lead's history in fast time, with the code that the worker runs.

What is simulated is only the provider: it takes every message at once. What comes next is
:func:`activation.journey.advance`, whether and when a message may go is
:func:`activation.routing.route`, judged when the message is queued and again when its time comes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal

from activation.journey import (
    Advance,
    EventKind,
    Journey,
    JourneyEvent,
    Note,
    Standing,
    advance,
    not_queued,
)
from activation.routing import route
from activation.rulebook import RuleBook
from activation.sequence import Sequence
from activation.types import Candidate, Channel, ChannelState, ConsentRow, Decision, Verdict

LONGEST = timedelta(days=3 * 365)


@dataclass(frozen=True, slots=True)
class Consent:
    """A word for or against a channel."""

    channel: Channel
    action: Literal["granted", "revoked"]
    at: datetime


@dataclass(frozen=True, slots=True)
class History:
    """A lead as it is, and what has happened to it. Times are aware.

    Do-not-disturb, numbers and addresses are those of today: the CRM does not tell since when.
    """

    lead_id: str
    location_id: str
    addresses: Mapping[Channel, str]
    timezone: str | None = None
    state: str | None = None
    do_not_disturb: frozenset[Channel] = frozenset()
    consents: tuple[Consent, ...] = ()
    earlier_sends: tuple[datetime, ...] = ()
    events: tuple[JourneyEvent, ...] = ()
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Sent:
    """A message that would have gone out."""

    at: datetime
    step: int
    channel: Channel
    template_id: str
    why: str


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a replay: when, what, and why."""

    at: datetime
    what: str
    step: int
    why: str


@dataclass(frozen=True, slots=True)
class Replay:
    """What a replay came to. ``journey`` is still active where the time ran out."""

    sent: tuple[Sent, ...]
    lines: tuple[Line, ...]
    journey: Journey


@dataclass(slots=True)
class _Queued:
    step: int
    channel: Channel
    at: datetime


def simulate(
    sequence: Sequence,
    history: History,
    start: datetime,
    rules: RuleBook,
    *,
    until: datetime | None = None,
) -> Replay:
    """Runs a lead through a sequence.

    Args:
        sequence: to run through.
        history: of the lead; what happens after ``start`` is learned when it is known.
        start: when the lead is enrolled, aware.
        rules: consent, hours and caps.
        until: when to break off; three years after ``start`` if not given.
    """
    return _Run(sequence, history, start, rules).to(until or start + LONGEST)


class _Run:
    def __init__(
        self, sequence: Sequence, history: History, start: datetime, rules: RuleBook
    ) -> None:
        self._sequence = sequence
        self._history = history
        self._rules = rules
        self._journey = Journey(start, history.timezone or "UTC")
        self._now = start
        self._queued: _Queued | None = None
        self._outcomes: list[JourneyEvent] = []
        self._sent: list[Sent] = []
        self._lines: list[Line] = []

    def to(self, until: datetime) -> Replay:
        while self._now <= until:
            moved = self._advance()
            if moved.journey.standing is not Standing.ACTIVE:
                break
            if self._queued is not None and self._queued.at <= self._now:
                self._hand_over(self._queued)
                continue
            coming = self._coming(moved.look_again)
            if coming is None:
                break
            self._now = coming
        return Replay(tuple(self._sent), tuple(self._lines), self._journey)

    def _advance(self) -> Advance:
        events = [*self._history.events, *self._outcomes]
        moved = advance(self._sequence, self._journey, events, self._now)
        if moved.send is not None:
            moved = self._queue(moved, moved.send)
        self._journey = moved.journey
        self._lines.extend(_line(note) for note in moved.notes)
        return moved

    def _queue(self, moved: Advance, step: int) -> Advance:
        decision = route(self._sequence, step, self._candidate(), self._now, self._rules)
        if decision.verdict is not Verdict.SEND or decision.channel is None:
            waits = not_queued(moved, decision.reason.value, self._now)
            if waits.journey.standing is Standing.ACTIVE:
                self._note_once(f"step {step} waits", step, decision.sentence)
            return waits
        self._queued = _Queued(step, decision.channel, decision.send_at or self._now)
        if decision.send_at is not None:
            self._lines.append(Line(self._now, f"step {step} waits", step, decision.sentence))
        return moved

    def _note_once(self, what: str, step: int, why: str) -> None:
        if not self._lines or self._lines[-1].what != what:
            self._lines.append(Line(self._now, what, step, why))

    def _hand_over(self, queued: _Queued) -> None:
        """The worker's claim: judged once more, for the channel that was chosen."""
        decision = self._judge(queued)
        if decision.verdict is not Verdict.SEND:
            self._queued = None
            self._outcome(EventKind.CANCELLED, queued.step, decision.reason.value)
            return
        if decision.send_at is not None:
            queued.at = decision.send_at
            return
        self._queued = None
        template = self._sequence.step(queued.step).templates[queued.channel]
        self._sent.append(Sent(self._now, queued.step, queued.channel, template, decision.sentence))
        self._outcome(EventKind.SENT, queued.step, f"{template} by {queued.channel}")

    def _judge(self, queued: _Queued) -> Decision:
        return route(
            self._sequence,
            queued.step,
            self._candidate(),
            self._now,
            self._rules,
            channels=frozenset({queued.channel}),
        )

    def _outcome(self, kind: EventKind, step: int, value: str) -> None:
        self._outcomes.append(
            JourneyEvent(kind, self._now, f"replay:step {step}", value=value, step=step)
        )

    def _coming(self, look_again: datetime | None) -> datetime | None:
        moments = [look_again, self._queued.at if self._queued else None]
        moments += [max(event.at, event.known_at or event.at) for event in self._history.events]
        return min((at for at in moments if at is not None and at > self._now), default=None)

    def _candidate(self) -> Candidate:
        history = self._history
        return Candidate(
            lead_id=history.lead_id,
            location_id=history.location_id,
            contact_id=None,
            score=0.0,
            tier="",
            rank=None,
            channels={channel: self._channel(channel) for channel in Channel},
            timezone=history.timezone,
            state=history.state,
            recent_sends=(
                *(at for at in history.earlier_sends if at <= self._now),
                *(sent.at for sent in self._sent),
            ),
            facts=dict(history.facts),
        )

    def _channel(self, channel: Channel) -> ChannelState:
        history = self._history
        words = [
            word for word in history.consents if word.channel is channel and word.at <= self._now
        ]
        newest = max(words, key=lambda word: (word.at, word.action), default=None)
        address = history.addresses.get(channel)
        return ChannelState(
            address,
            is_valid=address is not None,
            is_dnd=channel in history.do_not_disturb,
            consent=ConsentRow(0, newest.action, newest.at) if newest else None,
        )


def _line(note: Note) -> Line:
    detail = note.detail
    if note.kind == "sent":
        return Line(note.at, f"step {note.step} sent", note.step, str(detail["value"]))
    if note.kind == "queued":
        return Line(note.at, f"step {note.step} is due", note.step, "")
    if note.kind == "branch":
        to = detail["go_to"]
        goes = "ends" if to == "end" else f"goes to step {to}"
        why = f"{detail['when']} ({_evidence(detail['evidence'])})"
        return Line(
            note.at, f"branch {detail['branch']} of step {note.step}: {goes}", note.step, why
        )
    why = str(detail.get("reason") or detail.get("value") or "")
    if "evidence" in detail:
        why += f" ({_evidence([detail])})"
    return Line(note.at, note.kind, note.step, why)


def _evidence(proofs: Iterable[Mapping[str, Any]]) -> str:
    return "; ".join(
        f"no {proof['nothing']} since {proof['since'][:16]}"
        if "nothing" in proof
        else f"{proof.get('value') or proof['event']} at {proof['at'][:16]}, {proof['evidence']}"
        for proof in proofs
    )
