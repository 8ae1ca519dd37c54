"""Tables of who may be written to, and of what was answered by itself."""

from datetime import date, datetime

from sqlalchemy import BigInteger, ForeignKey, Identity
from sqlalchemy.orm import Mapped, mapped_column

from warehouse.models.base import OPS, Base


class ConsentLog(Base):
    """One grant or revocation of consent, with its evidence. Rows are only ever added."""

    __tablename__ = "consent_logs"
    __table_args__ = OPS

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


class Suppression(Base):
    """An address that must not be written to on a channel."""

    __tablename__ = "suppressions"
    __table_args__ = OPS

    location_id: Mapped[str] = mapped_column(primary_key=True)
    channel: Mapped[str] = mapped_column(primary_key=True)
    address: Mapped[str] = mapped_column(primary_key=True)
    reason: Mapped[str]
    source: Mapped[str]
    created_at: Mapped[datetime]


class DoNotCallList(Base):
    """A do-not-call list that was imported; location ``*`` stands for every location."""

    __tablename__ = "do_not_call_lists"
    __table_args__ = OPS

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
    __table_args__ = OPS

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
    __table_args__ = OPS

    address: Mapped[str] = mapped_column(primary_key=True)
    is_valid: Mapped[bool]
    line_type: Mapped[str | None]
    looked_up_at: Mapped[datetime]
    source: Mapped[str]


class AutoReply(Base):
    """A text that answered a text by itself: one confirmation of an opt-out, or help."""

    __tablename__ = "auto_replies"
    __table_args__ = OPS

    event_id: Mapped[str] = mapped_column(primary_key=True)
    location_id: Mapped[str]
    address: Mapped[str]
    kind: Mapped[str]
    body: Mapped[str]
    at: Mapped[datetime]
    ended_at: Mapped[datetime | None]
