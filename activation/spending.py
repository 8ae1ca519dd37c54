"""What a plan's messages cost, and where the money or the carriers' patience ends."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

from activation.carriers import carrier_class
from activation.segments import segment_count
from activation.types import Channel, PlannedItem, PlanRequest, Reason, Verdict
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


@dataclass(slots=True)
class SpendingLimits:
    """Prices each message of a plan, and takes out those beyond the budget or the quota.

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

    def judge(self, item: PlannedItem) -> PlannedItem:
        """The item with its cost; suppressed where it would go beyond a limit."""
        if item.decision != Verdict.SEND.value or item.body is None:
            return item
        segments = segment_count(item.body) if item.channel == Channel.SMS.value else None
        cost = self.email_cents if segments is None else self.text_cents * segments
        if self.budget_cents is not None and self.spent_cents + cost > self.budget_cents:
            return _without_message(
                item,
                Reason.BUDGET,
                f"The batch's budget of ${self.budget_cents / 100:,.2f} is spent on better leads.",
            )
        if segments is not None and self.segments_left is not None:
            if segments > self.segments_left:
                return _without_message(
                    item,
                    Reason.CARRIER_QUOTA,
                    "Carriers take no more texts today from a brand of this 10DLC class.",
                )
            self.segments_left -= segments
        self.spent_cents += cost
        return replace(item, segments=segments, cost_cents=cost)


def _without_message(item: PlannedItem, reason: Reason, sentence: str) -> PlannedItem:
    return replace(
        item,
        decision=Verdict.SUPPRESS.value,
        reason_code=reason.value,
        reason=sentence,
        channel=None,
        send_at=None,
        to_address=None,
        template_id=None,
        template_version=None,
        subject=None,
        body=None,
    )
