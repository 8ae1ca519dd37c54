"""Tables of loads and imports, rate limits, and who did what."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, Identity
from sqlalchemy.orm import Mapped, mapped_column

from warehouse.models.base import OPS, Base


class LoadRun(Base):
    """One load of one entity: how much, how long, up to which cursor."""

    __tablename__ = "load_runs"
    __table_args__ = OPS

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


class ImportFile(Base):
    """A file of leads that was imported, and how many of its rows went in."""

    __tablename__ = "import_files"
    __table_args__ = OPS

    import_id: Mapped[UUID] = mapped_column(primary_key=True)
    file_name: Mapped[str]
    file_digest: Mapped[str]
    mapping: Mapped[dict[str, Any]]
    rows_read: Mapped[int]
    rows_loaded: Mapped[int]
    rows_rejected: Mapped[int]
    imported_at: Mapped[datetime]


class QuarantinedRow(Base):
    """A record that could not be loaded, whole, with the reason."""

    __tablename__ = "quarantine"
    __table_args__ = OPS

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


class RateLimitBucket(Base):
    """The moment at which a provider's token bucket is full again."""

    __tablename__ = "rate_limits"
    __table_args__ = OPS

    key: Mapped[str] = mapped_column(primary_key=True)
    full_at: Mapped[datetime]


class AuditEntry(Base):
    """Who did what to which thing, and when."""

    __tablename__ = "audit_trail"
    __table_args__ = OPS

    audit_id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    at: Mapped[datetime]
    actor: Mapped[str]
    action: Mapped[str]
    entity: Mapped[str]
    entity_id: Mapped[str]
    location_id: Mapped[str | None]
    detail: Mapped[dict[str, Any]]
