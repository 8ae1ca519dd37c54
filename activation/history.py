"""A lead's history for a replay: from the database, or from a file that describes one."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Literal

import psycopg
from psycopg.rows import dict_row
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from activation.declared import read_declared
from activation.journey import EventKind, JourneyEvent
from activation.journey_events import read_events
from activation.marts import reading_marts
from activation.queries import load_sql
from activation.simulate import Consent, History
from activation.types import Channel
from leadengine.errors import LeadEngineError


class HistoryError(LeadEngineError):
    """There is no such lead, or a history file cannot be used."""


class _Word(BaseModel):
    model_config = ConfigDict(extra="forbid")

    channel: Channel
    action: Literal["granted", "revoked"]
    at: AwareDatetime


class _Event(BaseModel):
    model_config = ConfigDict(extra="forbid")

    kind: Literal["reply", "click", "open", "opt_out", "appointment", "won", "tier"]
    at: AwareDatetime
    known_at: AwareDatetime | None = None
    value: str | None = None


class HistoryFile(BaseModel):
    """What a history file holds. Times carry their zone: ``2026-03-02T16:00:00Z``."""

    model_config = ConfigDict(extra="forbid")

    name: str
    start: AwareDatetime
    timezone: str | None = None
    state: str | None = None
    addresses: dict[Channel, str] = Field(min_length=1)
    consents: tuple[_Word, ...] = ()
    earlier_sends: tuple[AwareDatetime, ...] = ()
    events: tuple[_Event, ...] = ()


def read_history(path: Path) -> tuple[History, datetime]:
    """A history and its start, from a YAML file.

    Raises:
        HistoryError: the file is not there or does not fit; names line, field and value.
    """
    if not path.is_file():
        raise HistoryError(f"There is no file {path}.", remedy="Name a YAML file with --history.")
    made, findings = read_declared(
        HistoryFile, "name", path, remedy="docs/marketers.md shows the form of a history."
    )
    if made is None:
        raise HistoryError(str(findings[0]), remedy=findings[0].remedy)
    events = tuple(
        JourneyEvent(
            EventKind(event.kind), event.at, f"{path.name}, event {number}",
            known_at=event.known_at, value=event.value,
        )
        for number, event in enumerate(made.events, start=1)
    )  # fmt: skip
    history = History(
        lead_id=made.name,
        location_id="file",
        addresses=made.addresses,
        timezone=made.timezone,
        state=made.state,
        consents=tuple(Consent(word.channel, word.action, word.at) for word in made.consents),
        earlier_sends=made.earlier_sends,
        events=events,
    )
    return history, made.start


def lead_history(connection: psycopg.Connection, lead_id: str, since: datetime) -> History:
    """What is on file about a lead.

    Args:
        connection: to a database with marts.
        lead_id: of the lead.
        since: events before it are left out, UTC.

    Raises:
        HistoryError: there is no such lead.
        MartsMissingError: the warehouse has not been built.
    """
    with reading_marts(), connection.cursor(row_factory=dict_row) as cursor:
        lead = cursor.execute(load_sql("lead_history"), {"lead_id": lead_id}).fetchone()
    if lead is None:
        raise HistoryError(
            f"There is no lead {lead_id!r}.", remedy="Take a lead_id from marts.dim_leads."
        )
    events = read_events(connection, [lead_id], since=since).get(lead_id, [])
    blocked = {
        Channel.SMS: lead["is_dnd_all"] or lead["is_dnd_sms"],
        Channel.EMAIL: lead["is_dnd_all"] or lead["is_dnd_email"],
    }
    addresses = {Channel.SMS: lead["phone"], Channel.EMAIL: lead["email"]}
    return History(
        lead_id=lead_id,
        location_id=lead["location_id"],
        addresses={channel: address for channel, address in addresses.items() if address},
        timezone=lead["timezone"],
        state=lead["state"],
        do_not_disturb=frozenset(channel for channel, is_dnd in blocked.items() if is_dnd),
        consents=tuple(
            Consent(Channel(word["channel"]), word["action"], datetime.fromisoformat(word["at"]))
            for word in lead["consents"]
        ),
        earlier_sends=tuple(lead["sent_at"]),
        events=tuple(event for _, event in events),
    )
