"""Ways of looking at a simulated brokerage that several of its tests share."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from typing import Any

from providers.sandbox.simulation import Brokerage, Record

ANCHOR = dt.date(2025, 11, 20)
HORIZON = dt.timedelta(days=60)


def instant(text: str) -> dt.datetime:
    """A provider's time stamp, with Z or an offset."""
    return dt.datetime.fromisoformat(text)


def midnight(days_before_anchor: int) -> dt.datetime:
    anchor = dt.datetime.combine(ANCHOR, dt.time(), tzinfo=dt.UTC)
    return anchor - dt.timedelta(days=days_before_anchor)


def whole(brokerage: Brokerage, kind: str) -> list[Record]:
    """Every version of a kind's records, without the deliberately broken ones."""
    return [
        record
        for record in brokerage.records
        if record.kind == kind and (record.kind, record.id) not in brokerage.broken
    ]


def last_versions(brokerage: Brokerage, kind: str) -> dict[str, dict[str, Any]]:
    """What a kind's records are in the end; deleted ones are not there."""
    state: dict[str, dict[str, Any]] = {}
    for record in whole(brokerage, kind):
        if record.payload is None:
            state.pop(record.id, None)
        else:
            state[record.id] = record.payload
    return state


def visible_conversions(brokerage: Brokerage) -> dict[str, dt.datetime]:
    """First appointment kept or opportunity won of each contact, read off the records."""
    found: dict[str, list[dt.datetime]] = defaultdict(list)
    for appointment in last_versions(brokerage, "appointment").values():
        if appointment["appointmentStatus"] == "showed":
            found[appointment["contactId"]].append(instant(appointment["startTime"]))
    for opportunity in last_versions(brokerage, "opportunity").values():
        if opportunity["status"] == "won":
            found[opportunity["contactId"]].append(instant(opportunity["lastStatusChangeAt"]))
    return {contact: min(times) for contact, times in found.items()}
