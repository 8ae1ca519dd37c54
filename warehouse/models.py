"""SQLAlchemy's view of the ``ops`` and ``ml`` tables; the migrations' SQL is what makes them.

All times are ``timestamptz``. A test holds the two against each other.
"""

from datetime import date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    DateTime,
    Double,
    ForeignKey,
    Identity,
    LargeBinary,
    MetaData,
    Text,
    UniqueConstraint,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class Base(DeclarativeBase):
    """Column types that all tables share."""

    metadata = MetaData()
    type_annotation_map = {  # noqa: RUF012 - read by SQLAlchemy when the class is made
        str: Text(),
        float: Double(),
        datetime: DateTime(timezone=True),
        list[str]: ARRAY(Text()),
        dict[str, Any]: JSONB(),
        list[dict[str, Any]]: JSONB(),
        bytes: LargeBinary(),
    }


_OPS = {"schema": "ops"}
_ML = {"schema": "ml"}


class Batch(Base):
    """A nurture batch: what was asked for, who planned it, who approved it."""

    __tablename__ = "batches"
    __table_args__ = _OPS

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
    __table_args__ = _OPS

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


class ConsentLog(Base):
    """One grant or revocation of consent, with its evidence. Rows are only ever added."""

    __tablename__ = "consent_logs"
    __table_args__ = _OPS

    consent_log_id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    location_id: Mapped[str]
    lead_id: Mapped[str]
    contact_id: Mapped[str]
    channel: Mapped[str]
    purpose: Mapped[str]
    action: Mapped[str]
    source: Mapped[str]
    method: Mapped[str]
    consent_text: Mapped[str | None]
    occurred_at: Mapped[datetime]
    known_at: Mapped[datetime]
    evidence_key: Mapped[str] = mapped_column(unique=True)
    recorded_by: Mapped[str]
    created_at: Mapped[datetime]


class Send(Base):
    """One message: the intent, written first, and what became of it."""

    __tablename__ = "sends"
    __table_args__ = _OPS

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
    __table_args__ = (UniqueConstraint("batch_id", "lead_id"), _OPS)

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
    __table_args__ = _OPS

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


class Suppression(Base):
    """An address that must not be written to on a channel."""

    __tablename__ = "suppressions"
    __table_args__ = _OPS

    location_id: Mapped[str] = mapped_column(primary_key=True)
    channel: Mapped[str] = mapped_column(primary_key=True)
    address: Mapped[str] = mapped_column(primary_key=True)
    reason: Mapped[str]
    source: Mapped[str]
    created_at: Mapped[datetime]


class DoNotCallList(Base):
    """A do-not-call list that was imported; location ``*`` stands for every location."""

    __tablename__ = "do_not_call_lists"
    __table_args__ = _OPS

    list_name: Mapped[str] = mapped_column(primary_key=True)
    kind: Mapped[str]
    channel: Mapped[str]
    location_id: Mapped[str]
    source: Mapped[str]
    listed_on: Mapped[date]
    addresses: Mapped[int]
    imported_at: Mapped[datetime]
    imported_by: Mapped[str]


class DoNotCall(Base):
    """An address on a do-not-call list."""

    __tablename__ = "do_not_call"
    __table_args__ = _OPS

    channel: Mapped[str] = mapped_column(primary_key=True)
    address: Mapped[str] = mapped_column(primary_key=True)
    list_name: Mapped[str] = mapped_column(
        ForeignKey("ops.do_not_call_lists.list_name", ondelete="CASCADE"), primary_key=True
    )
    location_id: Mapped[str]
    kind: Mapped[str]
    listed_on: Mapped[date]


class PhoneLine(Base):
    """What the carrier says a number is, and when it was asked."""

    __tablename__ = "phone_lines"
    __table_args__ = _OPS

    address: Mapped[str] = mapped_column(primary_key=True)
    is_valid: Mapped[bool]
    line_type: Mapped[str | None]
    looked_up_at: Mapped[datetime]
    source: Mapped[str]


class AutoReply(Base):
    """A text that answered a text by itself: one confirmation of an opt-out, or help."""

    __tablename__ = "auto_replies"
    __table_args__ = _OPS

    event_id: Mapped[str] = mapped_column(primary_key=True)
    location_id: Mapped[str]
    address: Mapped[str]
    kind: Mapped[str]
    body: Mapped[str]
    at: Mapped[datetime]
    ended_at: Mapped[datetime | None]


class AuditEntry(Base):
    """Who did what to which thing, and when."""

    __tablename__ = "audit_trail"
    __table_args__ = _OPS

    audit_id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    at: Mapped[datetime]
    actor: Mapped[str]
    action: Mapped[str]
    entity: Mapped[str]
    entity_id: Mapped[str]
    location_id: Mapped[str | None]
    detail: Mapped[dict[str, Any]]


class WebhookEvent(Base):
    """A verified webhook, stored once before it is handled."""

    __tablename__ = "webhook_events"
    __table_args__ = _OPS

    provider: Mapped[str] = mapped_column(primary_key=True)
    event_id: Mapped[str] = mapped_column(primary_key=True)
    received_at: Mapped[datetime]
    event_type: Mapped[str]
    payload: Mapped[dict[str, Any]]
    handled_at: Mapped[datetime | None]
    handling_error: Mapped[str | None]


class CrmWrite(Base):
    """What was last written to a contact in the CRM, so that only changes are written."""

    __tablename__ = "crm_writes"
    __table_args__ = _OPS

    location_id: Mapped[str] = mapped_column(primary_key=True)
    contact_id: Mapped[str] = mapped_column(primary_key=True)
    field_digest: Mapped[str]
    fields: Mapped[dict[str, Any]]
    tags: Mapped[list[str]]
    written_at: Mapped[datetime]
    status: Mapped[str]


class CrmAction(Base):
    """A task, note or enrollment in the CRM: the intent, written first, and what became of it."""

    __tablename__ = "crm_actions"
    __table_args__ = (UniqueConstraint("kind", "once_key"), _OPS)

    action_id: Mapped[UUID] = mapped_column(primary_key=True)
    location_id: Mapped[str]
    contact_id: Mapped[str]
    lead_id: Mapped[str]
    kind: Mapped[str]
    once_key: Mapped[str]
    content: Mapped[dict[str, Any]]
    status: Mapped[str]
    attempts: Mapped[int]
    provider_id: Mapped[str | None]
    error: Mapped[str | None]
    created_at: Mapped[datetime]
    tried_at: Mapped[datetime | None]
    settled_at: Mapped[datetime | None]


class QuarantinedRow(Base):
    """A record that could not be loaded, whole, with the reason."""

    __tablename__ = "quarantine"
    __table_args__ = _OPS

    quarantine_id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    source: Mapped[str]
    entity: Mapped[str]
    location_id: Mapped[str | None]
    row_key: Mapped[str | None]
    reason: Mapped[str]
    payload: Mapped[dict[str, Any]]
    payload_digest: Mapped[str]
    load_id: Mapped[str | None]
    created_at: Mapped[datetime]


class ImportFile(Base):
    """A file of leads that was imported, and how many of its rows went in."""

    __tablename__ = "import_files"
    __table_args__ = _OPS

    import_id: Mapped[UUID] = mapped_column(primary_key=True)
    file_name: Mapped[str]
    file_digest: Mapped[str]
    mapping: Mapped[dict[str, Any]]
    rows_read: Mapped[int]
    rows_loaded: Mapped[int]
    rows_rejected: Mapped[int]
    imported_at: Mapped[datetime]


class RateLimitBucket(Base):
    """The moment at which a provider's token bucket is full again."""

    __tablename__ = "rate_limits"
    __table_args__ = _OPS

    key: Mapped[str] = mapped_column(primary_key=True)
    full_at: Mapped[datetime]


class LoadRun(Base):
    """One load of one entity: how much, how long, up to which cursor."""

    __tablename__ = "load_runs"
    __table_args__ = _OPS

    load_run_id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    source: Mapped[str]
    entity: Mapped[str]
    location_id: Mapped[str | None]
    started_at: Mapped[datetime]
    finished_at: Mapped[datetime]
    rows_loaded: Mapped[int]
    rows_quarantined: Mapped[int]
    cursor: Mapped[str | None]
    full_load: Mapped[bool]


class LeadScore(Base):
    """A lead's score at one moment, the reasons, and where the vector that made it is kept."""

    __tablename__ = "lead_scores"
    __table_args__ = _ML

    lead_id: Mapped[str] = mapped_column(primary_key=True)
    as_of: Mapped[datetime] = mapped_column(primary_key=True)
    location_id: Mapped[str]
    score: Mapped[float]
    tier: Mapped[str]
    rank: Mapped[int]
    reasons: Mapped[list[dict[str, Any]]]
    model_name: Mapped[str]
    model_version: Mapped[str]
    features_digest: Mapped[str]
    features: Mapped[dict[str, Any] | None]
    scored_at: Mapped[datetime]
    block_id: Mapped[int | None] = mapped_column(BigInteger)
    block_row: Mapped[int | None]
    base_log_odds: Mapped[float | None]
    other_log_odds: Mapped[float | None]


class FeatureBlock(Base):
    """Packed feature vectors of some thousand scored leads of one location."""

    __tablename__ = "feature_blocks"
    __table_args__ = _ML

    block_id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    location_id: Mapped[str]
    as_of: Mapped[datetime]
    model_name: Mapped[str]
    model_version: Mapped[str]
    row_count: Mapped[int]
    vectors: Mapped[bytes]
    stored_at: Mapped[datetime]
    feature_columns: Mapped[list[dict[str, Any]] | None]


class OnlineScore(Base):
    """A score that was asked for alone, with what it is replayed from."""

    __tablename__ = "online_scores"
    __table_args__ = _ML

    score_id: Mapped[UUID] = mapped_column(primary_key=True)
    lead_id: Mapped[str]
    location_id: Mapped[str]
    as_of: Mapped[datetime]
    score: Mapped[float]
    tier: Mapped[str]
    reasons: Mapped[list[dict[str, Any]]]
    base_log_odds: Mapped[float]
    other_log_odds: Mapped[float]
    model_name: Mapped[str]
    model_version: Mapped[str]
    features_digest: Mapped[str]
    vector: Mapped[bytes | None]
    scored_at: Mapped[datetime]


class WatchRun(Base):
    """One look at drift and calibration: what of, what was found."""

    __tablename__ = "watch_runs"
    __table_args__ = _ML

    watch_id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    watched_at: Mapped[datetime]
    as_of: Mapped[datetime]
    baseline_as_of: Mapped[datetime]
    model_name: Mapped[str]
    model_version: Mapped[str]
    row_count: Mapped[int]
    verdict: Mapped[str]
    summary: Mapped[str]
    counts: Mapped[dict[str, Any]]


class WatchFigure(Base):
    """One figure of a look."""

    __tablename__ = "watch_figures"
    __table_args__ = _ML

    watch_id: Mapped[int] = mapped_column(
        BigInteger, ForeignKey("ml.watch_runs.watch_id", ondelete="CASCADE"), primary_key=True
    )
    kind: Mapped[str] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(primary_key=True)
    value: Mapped[float]
    low: Mapped[float | None]
    high: Mapped[float | None]
    row_count: Mapped[int]
    is_alarming: Mapped[bool]


class RulesModel(Base):
    """A version of the rules score, which scores where there is no champion."""

    __tablename__ = "rules_models"
    __table_args__ = _ML

    version: Mapped[str] = mapped_column(primary_key=True)
    made_at: Mapped[datetime]
    reason: Mapped[str]
    model: Mapped[str]


class TargetModel(Base):
    """What one training of a target found: a model, a base rate, or too little evidence."""

    __tablename__ = "target_models"
    __table_args__ = _ML

    target: Mapped[str] = mapped_column(primary_key=True)
    trained_at: Mapped[datetime] = mapped_column(primary_key=True)
    status: Mapped[str]
    reason: Mapped[str]
    rows_used: Mapped[int]
    outcomes: Mapped[int]
    leads: Mapped[int]
    base_rate: Mapped[float | None]
    low: Mapped[float | None]
    high: Mapped[float | None]
    model_name: Mapped[str | None]
    model_version: Mapped[str | None]
    figures: Mapped[dict[str, Any]]


class LeadPrediction(Base):
    """A lead's newest prediction of one target, with its 90 % interval."""

    __tablename__ = "lead_predictions"
    __table_args__ = _ML

    lead_id: Mapped[str] = mapped_column(primary_key=True)
    target: Mapped[str] = mapped_column(primary_key=True)
    location_id: Mapped[str]
    as_of: Mapped[datetime]
    probability: Mapped[float | None]
    low: Mapped[float | None]
    high: Mapped[float | None]
    evidence: Mapped[str]
    median_days: Mapped[float | None]
    model_name: Mapped[str | None]
    model_version: Mapped[str | None]
    predicted_at: Mapped[datetime]


class LocationEvidence(Base):
    """Which score a location's own outcomes favour, and its rate of conversion."""

    __tablename__ = "location_evidence"
    __table_args__ = _ML

    location_id: Mapped[str] = mapped_column(primary_key=True)
    as_of: Mapped[datetime]
    method: Mapped[str]
    reason: Mapped[str]
    leads: Mapped[int]
    outcomes: Mapped[int]
    rate: Mapped[float]
    low: Mapped[float]
    high: Mapped[float]
    prior_source: Mapped[str]
    figures: Mapped[dict[str, Any]]
