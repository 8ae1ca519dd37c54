"""Tables of batches: what was decided, what was sent, and how leads go through a sequence."""

from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, ForeignKey, Identity, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from warehouse.models.base import OPS, Base


class Batch(Base):
    """A nurture batch: what was asked for, who planned it, who approved it."""

    __tablename__ = "batches"
    __table_args__ = OPS

    batch_id: Mapped[UUID] = mapped_column(primary_key=True)
    audience: Mapped[str]
    sequence: Mapped[str]
    channels: Mapped[list[str]]
    requested_size: Mapped[int]
    holdout_share: Mapped[float]
    seed: Mapped[int]
    status: Mapped[str]
    dry_run: Mapped[bool]
    as_of: Mapped[datetime]
    digest: Mapped[str]
    summary: Mapped[dict[str, Any]]
    planned_by: Mapped[str]
    planned_at: Mapped[datetime]
    approved_by: Mapped[str | None]
    approved_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]
    enrolled_at: Mapped[datetime | None]


class BatchItem(Base):
    """One candidate of a batch and the one decision about it."""

    __tablename__ = "batch_items"
    __table_args__ = OPS

    batch_id: Mapped[UUID] = mapped_column(
        ForeignKey("ops.batches.batch_id", ondelete="CASCADE"), primary_key=True
    )
    lead_id: Mapped[str] = mapped_column(primary_key=True, index=False)
    location_id: Mapped[str]
    contact_id: Mapped[str]
    decision: Mapped[str]
    reason_code: Mapped[str]
    reason: Mapped[str]
    channel: Mapped[str | None]
    send_at: Mapped[datetime | None]
    to_address: Mapped[str | None]
    template_id: Mapped[str | None]
    template_version: Mapped[str | None]
    subject: Mapped[str | None]
    body: Mapped[str | None]
    segments: Mapped[int | None]
    cost_cents: Mapped[Decimal | None]
    score: Mapped[float | None]
    tier: Mapped[str | None]
    rank: Mapped[int | None]


class Send(Base):
    """One message: the intent, written first, and what became of it."""

    __tablename__ = "sends"
    __table_args__ = OPS

    send_id: Mapped[UUID] = mapped_column(primary_key=True)
    batch_id: Mapped[UUID] = mapped_column(ForeignKey("ops.batches.batch_id"))
    lead_id: Mapped[str]
    location_id: Mapped[str]
    contact_id: Mapped[str]
    channel: Mapped[str]
    to_address: Mapped[str]
    from_address: Mapped[str]
    subject: Mapped[str | None]
    body: Mapped[str]
    body_digest: Mapped[str]
    template_id: Mapped[str]
    template_version: Mapped[str]
    sequence: Mapped[str]
    step: Mapped[int]
    idempotency_key: Mapped[str] = mapped_column(unique=True)
    status: Mapped[str]
    status_reason: Mapped[str | None]
    not_before: Mapped[datetime]
    claimed_by: Mapped[str | None]
    claimed_at: Mapped[datetime | None]
    attempts: Mapped[int]
    provider: Mapped[str | None]
    provider_message_id: Mapped[str | None]
    consent_log_id: Mapped[int | None] = mapped_column(
        BigInteger, ForeignKey("ops.consent_logs.consent_log_id")
    )
    consent_hash: Mapped[str | None]
    rule_version: Mapped[str | None]
    model_version: Mapped[str | None]
    score: Mapped[float | None]
    created_at: Mapped[datetime]
    sent_at: Mapped[datetime | None]
    settled_at: Mapped[datetime | None]


class Enrollment(Base):
    """A lead's way through the sequence that an approved batch started for it."""

    __tablename__ = "enrollments"
    __table_args__ = (UniqueConstraint("batch_id", "lead_id"), OPS)

    enrollment_id: Mapped[UUID] = mapped_column(primary_key=True)
    batch_id: Mapped[UUID] = mapped_column(ForeignKey("ops.batches.batch_id"))
    lead_id: Mapped[str]
    location_id: Mapped[str]
    contact_id: Mapped[str]
    sequence: Mapped[str]
    zone: Mapped[str]
    status: Mapped[str]
    step: Mapped[int]
    step_at: Mapped[datetime | None]
    pending_step: Mapped[int | None]
    pending_since: Mapped[datetime | None]
    next_check_at: Mapped[datetime | None]
    enrolled_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]
    ended_by: Mapped[str | None]
    updated_at: Mapped[datetime]


class EnrollmentEvent(Base):
    """One thing decided or learned on a lead's way, with its evidence. Rows are only added."""

    __tablename__ = "enrollment_events"
    __table_args__ = OPS

    enrollment_event_id: Mapped[int] = mapped_column(
        BigInteger, Identity(always=True), primary_key=True
    )
    enrollment_id: Mapped[UUID] = mapped_column(ForeignKey("ops.enrollments.enrollment_id"))
    location_id: Mapped[str]
    at: Mapped[datetime]
    kind: Mapped[str]
    step: Mapped[int]
    detail: Mapped[dict[str, Any]]
    created_at: Mapped[datetime]
