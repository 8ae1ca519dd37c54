"""What goes into a plan and what comes out of each step."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any
from uuid import UUID


class Channel(StrEnum):
    """How a message reaches a person."""

    SMS = "sms"
    EMAIL = "email"


class Verdict(StrEnum):
    """What a plan does with a candidate."""

    SEND = "send"
    HOLDOUT = "holdout"
    SUPPRESS = "suppress"


class Reason(StrEnum):
    """Why; one per decision. The order of the suppressing ones is the order of weight."""

    SEND_NOW = "send_now"
    QUIET_HOURS = "quiet_hours"
    HOLDOUT = "holdout"
    DUPLICATE_PERSON = "duplicate_person"
    ALREADY_SENT = "already_sent"
    FREQUENCY_CAP = "frequency_cap"
    DND = "dnd"
    OPTED_OUT = "opted_out"
    SUPPRESSED_ADDRESS = "suppressed_address"
    DO_NOT_CALL = "do_not_call"
    NO_CONSENT = "no_consent"
    INVALID_PHONE = "invalid_phone"
    LANDLINE = "landline"
    INVALID_EMAIL = "invalid_email"
    NO_SENDER = "no_sender"
    FAIR_HOUSING = "fair_housing"
    WORDING = "wording"
    LEAD_CLOSED = "lead_closed"
    IN_OTHER_SEQUENCE = "in_other_sequence"
    BUDGET = "budget"
    CARRIER_QUOTA = "carrier_quota"
    # What has changed since the plan was made.
    REPLIED = "replied"
    APPOINTMENT_BOOKED = "appointment_booked"
    TIER_CHANGED = "tier_changed"
    TEMPLATE_CHANGED = "template_changed"


@dataclass(frozen=True, slots=True)
class PlanRequest:
    """What a marketer asks for.

    Args:
        audience: name of a file in ``activation/audiences``.
        sequence: name of a file in ``activation/sequences``.
        size: how many leads to choose; those held out count among them.
        channels: allowed channels, ``sms`` and ``email``; the sequence sets the preference.
        holdout_share: share of the chosen kept back to measure against, from 0 to below 1.
        dry_run: a plan to look at; it can be approved by nobody and sends nothing.
        planned_by: who asks.
        budget_cents: what the batch's messages may cost, in cents of a dollar; None: no limit.
        override: why a plan that the guards refuse is right all the same; recorded with it.
    """

    audience: str
    sequence: str
    size: int
    channels: list[str]
    holdout_share: float = 0.1
    dry_run: bool = False
    planned_by: str = "unknown"
    budget_cents: int | None = None
    override: str | None = None


@dataclass(frozen=True, slots=True)
class ConsentRow:
    """The newest word on whether a person may be written to on one channel."""

    consent_log_id: int
    action: str
    occurred_at: datetime
    source: str | None = None
    evidence_key: str | None = None
    proof_hash: str | None = None


@dataclass(frozen=True, slots=True)
class ChannelState:
    """What is known about one channel of one candidate, at one moment."""

    address: str | None
    is_valid: bool
    is_dnd: bool = False
    is_suppressed: bool = False
    consent: ConsentRow | None = None
    address_opted_out: bool = False
    do_not_call: tuple[str, ...] = ()
    """Kinds of the do-not-call lists that hold the address: internal, national, state."""
    line_type: str | None = None
    """What the carrier says the number is, such as ``mobile`` or ``landline``; None if unknown."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A lead of the audience with everything the decision looks at."""

    lead_id: str
    location_id: str
    contact_id: str | None
    score: float | None
    tier: str
    rank: int | None
    channels: dict[Channel, ChannelState]
    timezone: str | None = None
    state: str | None = None
    is_open: bool = True
    duplicate_of: str | None = None
    """The lead that this one has turned out to be since the plan."""
    already_sent: bool = False
    in_other_sequence: bool = False
    """A message of another sequence is queued or under way."""
    recent_sends: tuple[datetime, ...] = ()
    facts: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Decision:
    """What happens to one candidate, and why.

    ``send_at`` is None for "as soon as the batch is dispatched".
    """

    verdict: Verdict
    reason: Reason
    sentence: str
    channel: Channel | None = None
    address: str | None = None
    send_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class PlannedItem:
    """One row of a plan."""

    lead_id: str
    location_id: str
    contact_id: str | None
    decision: str
    reason_code: str
    reason: str
    score: float | None
    tier: str
    rank: int | None
    channel: str | None = None
    send_at: datetime | None = None
    to_address: str | None = None
    template_id: str | None = None
    template_version: str | None = None
    subject: str | None = None
    body: str | None = None
    segments: int | None = None
    cost_cents: Decimal | None = None


@dataclass(frozen=True, slots=True)
class BatchPlan:
    """A stored plan. ``counts`` is by decision, ``reasons`` by decision and reason code.

    ``cost_cents`` is by channel, in cents of a dollar. ``refusals`` are the guards' sentences;
    where somebody overrode them, the plan's status is ``planned`` all the same.
    """

    batch_id: UUID
    digest: str
    audience: str
    sequence: str
    status: str
    dry_run: bool
    audience_size: int
    counts: dict[str, int]
    reasons: dict[str, int]
    channels: dict[str, int]
    locations: dict[str, int]
    segments: int
    cost_cents: dict[str, float]
    refusals: list[str]
    load_items: Callable[[], list[PlannedItem]] = field(repr=False, compare=False)

    @property
    def items(self) -> list[PlannedItem]:
        """Every decision, best lead first, read from the database anew each time."""
        return self.load_items()

    @property
    def blast_radius(self) -> str:
        """How far the plan reaches, in a sentence."""
        by_channel = {"sms": "texts", "email": "emails"}
        parts = [f"{count:,} {by_channel[name]}" for name, count in sorted(self.channels.items())]
        cost = sum(self.cost_cents.values()) / 100
        return (
            f"{' and '.join(parts) or 'Nothing'} to {self.counts['send']:,} people of "
            f"{self.audience_size:,} in the audience, from {len(self.locations):,} "
            f"location{'s' if len(self.locations) != 1 else ''}, for about ${cost:,.2f}; "
            f"{self.counts['holdout']:,} held out."
        )

    def as_dict(self) -> dict[str, Any]:
        """The plan without its items and without personal data, ready for JSON."""
        return {
            "batch_id": str(self.batch_id),
            "digest": self.digest,
            "audience": self.audience,
            "sequence": self.sequence,
            "status": self.status,
            "dry_run": self.dry_run,
            "audience_size": self.audience_size,
            "considered": sum(self.counts.values()),
            "counts": self.counts,
            "reasons": self.reasons,
            "channels": self.channels,
            "locations": self.locations,
            "segments": self.segments,
            "cost_cents": self.cost_cents,
            "blast_radius": self.blast_radius,
            "refusals": self.refusals,
        }


@dataclass(slots=True)
class SettleReport:
    """What became of the sends whose answer was lost."""

    found: int = 0
    returned: int = 0
    waiting: int = 0
    by_hand: int = 0

    def add(self, other: "SettleReport") -> None:
        """Adds what a later round settled; what still waits is of the later round."""
        self.found += other.found
        self.returned += other.returned
        self.waiting = other.waiting
        self.by_hand = other.by_hand


@dataclass(slots=True)
class DispatchReport:
    """What a dispatch did. ``cancelled`` and ``rejected`` count by reason."""

    batch_id: UUID | None
    queued: int = 0
    already_queued: int = 0
    sent: dict[str, int] = field(default_factory=dict)
    sent_of_other_batches: int = 0
    cancelled: dict[str, int] = field(default_factory=dict)
    rejected: dict[str, int] = field(default_factory=dict)
    postponed: int = 0
    retried: int = 0
    gave_up: int = 0
    settled: SettleReport = field(default_factory=SettleReport)
    left: dict[str, int] = field(default_factory=dict)
    next_due: datetime | None = None
    status: str = "dispatching"

    def as_dict(self) -> dict[str, Any]:
        """The report, ready for JSON."""
        return {
            "batch_id": str(self.batch_id) if self.batch_id else None,
            "status": self.status,
            "queued": self.queued,
            "already_queued": self.already_queued,
            "sent": self.sent,
            "sent_total": sum(self.sent.values()),
            "sent_of_other_batches": self.sent_of_other_batches,
            "cancelled": self.cancelled,
            "rejected": self.rejected,
            "postponed": self.postponed,
            "retried": self.retried,
            "gave_up": self.gave_up,
            "found_at_provider": self.settled.found,
            "returned_to_queue": self.settled.returned,
            "unsettled": self.settled.waiting + self.settled.by_hand,
            "left": self.left,
            "next_due": self.next_due.isoformat() if self.next_due else None,
        }


@dataclass(frozen=True, slots=True)
class SyncReport:
    """What a consent sync did."""

    added: int
    seen: int


@dataclass(slots=True)
class WritebackReport:
    """What a write-back did: contacts, edits of our fields found, and what was made once.

    ``actions_found`` were made by a run whose answer was lost; ``actions_waiting`` may be on their
    way; ``actions_unsettled`` are for a person to look at.
    """

    written: int = 0
    unchanged: int = 0
    gone: int = 0
    failed: int = 0
    fields_created: int = 0
    tag_changes: int = 0
    conflicts: int = 0
    tasks: int = 0
    notes: int = 0
    enrollments: int = 0
    actions_found: int = 0
    actions_waiting: int = 0
    actions_unsettled: int = 0
    errors: list[str] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        """The report, ready for JSON."""
        return {
            "written": self.written,
            "unchanged": self.unchanged,
            "gone": self.gone,
            "failed": self.failed,
            "fields_created": self.fields_created,
            "tag_changes": self.tag_changes,
            "conflicts": self.conflicts,
            "tasks": self.tasks,
            "notes": self.notes,
            "enrollments": self.enrollments,
            "actions_found": self.actions_found,
            "actions_waiting": self.actions_waiting,
            "actions_unsettled": self.actions_unsettled,
            "errors": self.errors,
        }
