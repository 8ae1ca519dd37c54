"""What a plan's messages cost, and where the money or the carriers' patience ends."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

from activation.carriers import carrier_class
from activation.segments import segment_count
from activation.types import Channel, PlanRequest, Reason
from leadengine.settings import Settings
from warehouse.database import Database

# T-Mobile's day ends at midnight there.
_CARRIER_ZONE = ZoneInfo("America/Los_Angeles")
_USED_TODAY = """
select coalesce(sum(coalesce(items.segments, 1)), 0)
from ops.sends
left join ops.batch_items as items
    on sends.batch_id = items.batch_id and sends.lead_id = items.lead_id and sends.step = 1
where
    sends.channel = 'sms'
    and sends.status not in ('cancelled', 'rejected')
    and coalesce(sends.sent_at, sends.not_before) >= %s
"""


@dataclass(frozen=True, slots=True)
class Charge:
    """What a message costs; ``segments`` is None for an email."""

    segments: int | None
    cents: Decimal


@dataclass(frozen=True, slots=True)
class Beyond:
    """The limit that a message would go beyond, and a sentence about it."""

    reason: Reason
    sentence: str


@dataclass(slots=True)
class SpendingLimits:
    """Prices each message of a plan, and tells which are beyond the budget or the quota.

    The quota counts every text, since the carrier of a number is not known.

    Args:
        text_cents: of one SMS segment, the carriers' fees included.
        email_cents: of one email.
        budget_cents: of the batch; None: no limit.
        segments_left: that the carriers still take today; None: no limit.
    """

    text_cents: Decimal
    email_cents: Decimal
    budget_cents: Decimal | None
    segments_left: int | None
    spent_cents: Decimal = Decimal(0)

    @classmethod
    def of(
        cls, database: Database, settings: Settings, request: PlanRequest, now: datetime
    ) -> SpendingLimits:
        """The limits at a moment; what was sent or queued today counts against the quota."""
        quota = carrier_class(settings.twilio_10dlc_class).per_day
        if quota is not None:
            midnight = now.astimezone(_CARRIER_ZONE).replace(
                hour=0, minute=0, second=0, microsecond=0
            )
            with database.connect() as connection:
                row = connection.execute(_USED_TODAY, (midnight,)).fetchone()
            quota = max(0, quota - int(row[0] if row else 0))
        return cls(
            text_cents=settings.sms_segment_cents,
            email_cents=settings.email_cents,
            budget_cents=None if request.budget_cents is None else Decimal(request.budget_cents),
            segments_left=quota,
        )

    def charge(self, channel: Channel, body: str) -> Charge | Beyond:
        """Takes a message's cost from what is left, or says what it would go beyond."""
        segments = segment_count(body) if channel is Channel.SMS else None
        cost = self.email_cents if segments is None else self.text_cents * segments
        if self.budget_cents is not None and self.spent_cents + cost > self.budget_cents:
            return Beyond(
                Reason.BUDGET,
                f"The batch's budget of ${self.budget_cents / 100:,.2f} is spent on better leads.",
            )
        if segments is not None and self.segments_left is not None:
            if segments > self.segments_left:
                return Beyond(
                    Reason.CARRIER_QUOTA,
                    "Carriers take no more texts today from a brand of this 10DLC class.",
                )
            self.segments_left -= segments
        self.spent_cents += cost
        return Charge(segments, cost)
