"""Tables of what is written to the CRM and heard from providers."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from warehouse.models.base import OPS, Base


class CrmWrite(Base):
    """What was last written to a contact in the CRM, so that only changes are written."""

    __tablename__ = "crm_writes"
    __table_args__ = OPS

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
    __table_args__ = (UniqueConstraint("kind", "once_key"), OPS)

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


class WebhookEvent(Base):
    """A verified webhook, stored once before it is handled."""

    __tablename__ = "webhook_events"
    __table_args__ = OPS

    provider: Mapped[str] = mapped_column(primary_key=True)
    event_id: Mapped[str] = mapped_column(primary_key=True)
    received_at: Mapped[datetime]
    event_type: Mapped[str]
    payload: Mapped[dict[str, Any]]
    handled_at: Mapped[datetime | None]
    handling_error: Mapped[str | None]
