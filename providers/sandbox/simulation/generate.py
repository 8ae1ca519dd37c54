"""Puts the parts of the simulation together."""

from __future__ import annotations

import datetime as dt

import numpy as np

from providers.sandbox.simulation import world
from providers.sandbox.simulation.ids import random_ids
from providers.sandbox.simulation.model import Brokerage, Record


class _FlatTruth:
    def __init__(self, created: dict[str, dt.datetime]) -> None:
        self._created = created

    def propensities(self, as_of: dt.datetime) -> dict[str, float]:
        return {key: 0.1 for key, at in self._created.items() if at <= as_of}

    def states(self, as_of: dt.datetime) -> dict[str, str]:
        return {key: "new" for key, at in self._created.items() if at <= as_of}

    def conversions(self) -> dict[str, dt.datetime]:
        return {}


def _iso(at: dt.datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%S.") + f"{at.microsecond // 1000:03d}Z"


def generate(seed: int, contacts: int, anchor: dt.date) -> Brokerage:
    """Generates the brokerage around midnight UTC of ``anchor``."""
    rng = np.random.default_rng(np.random.SeedSequence([seed, 0]))
    end = dt.datetime.combine(anchor, dt.time(), tzinfo=dt.UTC)
    records: list[Record] = []
    created: dict[str, dt.datetime] = {}
    ids = random_ids(rng, contacts * 8)
    for i in range(contacts):
        o = i % 2
        office = world.OFFICES[o]
        agent = [a for a in world.AGENTS if a.office == o][i % 6]
        at = end - dt.timedelta(minutes=int(rng.integers(1, 540 * 1440)))
        cid, conv, opp, appt, task, note, m1, m2 = ids[i * 8 : i * 8 + 8]
        created[cid] = at
        stamp = _iso(at)
        phone = f"+1{office.phone[2:5]}5550{100 + i % 100}"
        records.append(
            Record(at, "contact", "upsert", office.id, cid, {
                "id": cid, "locationId": office.id, "firstName": "Alex", "lastName": f"Sample{i}",
                "name": f"Alex Sample{i}", "email": f"alex.sample{i}@example.com", "phone": phone,
                "type": "lead", "source": "Website", "country": "US", "state": office.state,
                "city": office.city, "postalCode": office.postal_code,
                "timezone": office.timezone, "assignedTo": agent.id, "dateAdded": stamp,
                "dateUpdated": stamp, "tags": ["simulated"], "dnd": False, "dndSettings": {},
                "customFields": [
                    {"id": world.field_id(o, "sms_consent"), "value": "yes"},
                    {"id": world.field_id(o, "email_consent"), "value": "yes"},
                    {"id": world.field_id(o, "consent_at"), "value": stamp},
                ],
                "additionalEmails": [], "additionalPhones": [], "followers": [],
            })
        )  # fmt: skip
        for n, (mid, direction) in enumerate(((m1, "outbound"), (m2, "inbound"))):
            then = at + dt.timedelta(minutes=7 * (n + 1))
            records.append(
                Record(then, "message", "upsert", office.id, mid, {
                    "id": mid, "type": 2, "messageType": "TYPE_SMS", "locationId": office.id,
                    "contactId": cid, "conversationId": conv, "dateAdded": _iso(then),
                    "dateUpdated": _iso(then), "body": "Hello from the simulation",
                    "direction": direction, "status": "delivered", "contentType": "text/plain",
                    "source": "app", "attachments": [],
                })
            )  # fmt: skip
        records.append(
            Record(at, "opportunity", "upsert", office.id, opp, {
                "id": opp, "name": f"Alex Sample{i}", "monetaryValue": 9000,
                "pipelineId": world.pipeline_id(o, 0),
                "pipelineStageId": world.stage_id(o, 0, 0), "assignedTo": agent.id,
                "status": "open", "source": "Website", "lastStatusChangeAt": stamp,
                "lastStageChangeAt": stamp, "createdAt": stamp, "updatedAt": stamp,
                "contactId": cid, "locationId": office.id,
            })
        )  # fmt: skip
    records.sort(key=lambda record: record.known_at)
    return Brokerage(
        seed, contacts, anchor, world.locations(), world.users(), world.pipelines(),
        world.calendars(), world.workflows(), world.custom_fields(), records,
        _FlatTruth(created),
    )  # fmt: skip
