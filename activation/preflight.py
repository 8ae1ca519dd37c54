"""Asks the CRM, just before sending, who has said no since the last load."""

from __future__ import annotations

import time
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg

from activation.audit import audit
from activation.consent import cancel_queued, newest_action, opt_out
from activation.policy import DispatchPolicy
from leadengine.clock import Clock
from leadengine.errors import LeadEngineError
from providers.errors import ProviderError
from providers.factory import Clients
from providers.ghl import GhlClient
from warehouse.database import Database

_DND_CHANNELS = {"sms": "SMS", "email": "Email"}
_FIRST_LOOK = timedelta(days=2)


class PreflightError(LeadEngineError):
    """The CRM could not be asked, so nothing is sent."""


@dataclass(slots=True)
class Preflight:
    """Remembers whom each location was asked about a moment ago. One per process."""

    asked: dict[str, tuple[float, set[str]]] = field(default_factory=dict)

    def run(
        self,
        database: Database,
        clients: Clients,
        clock: Clock,
        policy: DispatchPolicy,
    ) -> dict[str, int]:
        """Cancels what is queued for contacts that the CRM now has on do-not-disturb or opted out.

        Only locations with something due are asked, each time for all contacts changed since the
        last load, with a margin: what was planned rests on that load.

        Returns:
            Cancelled messages by reason.

        Raises:
            PreflightError: a location's CRM did not answer; better late than to the wrong person.
        """
        now = clock.now()
        with database.connect() as connection:
            queued = _queued_contacts(connection, now)
            loaded = _last_loads(connection)
        cancelled: dict[str, int] = defaultdict(int)
        for location_id, contacts in queued.items():
            asked_at, about = self.asked.get(location_id, (0.0, set()))
            age = time.monotonic() - asked_at
            if contacts <= about and age < policy.preflight_lasts.total_seconds():
                continue
            client = clients.ghl.get(location_id)
            if client is None:
                raise PreflightError(
                    f"Messages are queued for location {location_id}, which is not configured.",
                    remedy="Add the location to GHL_LOCATIONS, or cancel the batch.",
                )
            # The machine's clock, since the CRM's own stamps are compared with it.
            since = loaded.get(location_id) or datetime.now(UTC) - _FIRST_LOOK
            since -= policy.preflight_margin
            started = time.monotonic()
            try:
                changes = _changed(client, contacts, since)
            except ProviderError as error:
                raise PreflightError(
                    f"The CRM of location {location_id} cannot be asked who opted out since "
                    f"{since:%Y-%m-%d %H:%M} UTC, so nothing was sent: {error.message}",
                    remedy="Try again when GoHighLevel answers; the batch waits.",
                ) from error
            with database.connect() as connection:
                for contact in changes:
                    lead_id = f"{location_id}:{contact['id']}"
                    for reason, count in _apply(connection, lead_id, contact, now).items():
                        cancelled[reason] += count
            self.asked[location_id] = (started, contacts)
        return dict(cancelled)


@dataclass(frozen=True, slots=True)
class _ConsentFields:
    """Ids of the custom fields that hold consent, by channel."""

    ids: dict[str, str]

    @classmethod
    def of(cls, client: GhlClient) -> _ConsentFields:
        keys = {f"contact.{channel}_consent": channel for channel in _DND_CHANNELS}
        return cls(
            {
                keys[definition["fieldKey"]]: definition["id"]
                for definition in client.list_custom_fields()
                if definition.get("fieldKey") in keys
            }
        )

    def says_no(self, contact: dict[str, Any], channel: str) -> bool:
        """Whether the contact's own field denies a channel."""
        field_id = self.ids.get(channel)
        for entry in contact.get("customFields") or []:
            if field_id is not None and entry.get("id") == field_id:
                value = entry.get("value", entry.get("field_value", entry.get("fieldValue")))
                return str(value or "").strip().lower() in {"no", "false", "0", "opted out"}
        return False


def is_dnd(contact: dict[str, Any], channel: str) -> bool:
    """Whether a contact, as the CRM gives it, is on do-not-disturb for ``sms`` or ``email``."""
    if contact.get("dnd"):
        return True
    setting = (contact.get("dndSettings") or {}).get(_DND_CHANNELS[channel]) or {}
    return str(setting.get("status", "")).lower() in {"active", "permanent"}


def _changed(client: GhlClient, contacts: set[str], since: datetime) -> list[dict[str, Any]]:
    changes = []
    fields: _ConsentFields | None = None
    for page in client.iter_contacts(since):
        for contact in page:
            if contact.get("id") not in contacts:
                continue
            fields = fields or _ConsentFields.of(client)
            denied = [channel for channel in _DND_CHANNELS if fields.says_no(contact, channel)]
            dnd = [channel for channel in _DND_CHANNELS if is_dnd(contact, channel)]
            if denied or dnd:
                changes.append(
                    {
                        "id": contact["id"],
                        "denied": denied,
                        "dnd": dnd,
                        "at": str(contact.get("dateUpdated") or ""),
                    }
                )
    return changes


def _apply(
    connection: psycopg.Connection, lead_id: str, change: dict[str, Any], now: datetime
) -> dict[str, int]:
    done: dict[str, int] = {"dnd": 0, "opted_out": 0}
    location_id = lead_id.split(":", 1)[0]
    for channel in change["denied"]:
        if newest_action(connection, lead_id, channel) != "revoked":
            result = opt_out(
                connection,
                location_id=location_id,
                lead_id=lead_id,
                channel=channel,
                source="ghl",
                method=f"contact field {channel}_consent says no",
                evidence_key=f"ghl-field:{lead_id}:{channel}:{change['at']}",
                at=now,
                actor="preflight",
            )
            done["opted_out"] += result.cancelled
    for channel in change["dnd"]:
        count = cancel_queued(connection, lead_id=lead_id, channel=channel, reason="dnd", at=now)
        done["dnd"] += count
        if count:
            audit(
                connection,
                at=now,
                actor="preflight",
                action="send_cancelled",
                entity="lead",
                entity_id=lead_id,
                location_id=location_id,
                detail={"reason": "dnd", "channel": channel, "cancelled": count},
            )
    return {reason: count for reason, count in done.items() if count}


def _queued_contacts(connection: psycopg.Connection, now: datetime) -> dict[str, set[str]]:
    """Whom anything is queued for, in the locations where something is due now."""
    rows = connection.execute(
        "select distinct location_id, contact_id from ops.sends"
        " where status = 'intent' and location_id in ("
        "   select location_id from ops.sends where status = 'intent' and not_before <= %s)",
        (now,),
    ).fetchall()
    queued: defaultdict[str, set[str]] = defaultdict(set)
    for location_id, contact_id in rows:
        queued[location_id].add(contact_id)
    return dict(queued)


def _last_loads(connection: psycopg.Connection) -> dict[str, datetime]:
    """When the newest load began that the marts are sure to rest on: one before the last scoring.

    A load that was not transformed yet does not count: its news are not in the marts.
    """
    rows = connection.execute(
        "select location_id, max(started_at) from ops.load_runs"
        " where source = 'ghl' and entity = 'contacts' and location_id is not null"
        " and started_at <= (select max(as_of) from ml.lead_scores) group by location_id"
    ).fetchall()
    return {str(row[0]): row[1] for row in rows}
