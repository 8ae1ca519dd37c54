"""What the simulation hands over: provider-shaped records, and the truth behind them.

Everything in here is made up. The people, phone numbers (fictional 555 exchange) and email
addresses (the reserved example domains) belong to nobody.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple, Protocol

Payload = dict[str, Any]
Kind = Literal["contact", "message", "opportunity", "appointment", "task", "note", "transcription"]
Op = Literal["upsert", "delete"]


class Record(NamedTuple):
    """One version of one CRM record.

    Attributes:
        known_at: when the CRM has it (aware, UTC); the server shows the record from then on.
        kind: which entity. A ``transcription`` has the id of the call's message.
        op: ``upsert`` replaces every earlier version; ``delete`` takes the record away.
        location_id: the sub-account that holds it.
        id: the provider's id, unique within its kind and location.
        payload: the record as HighLevel's API gives it; ``None`` for a deletion. Shared with
            nobody, but treat it as read-only: copy it before changing it.
    """

    known_at: dt.datetime
    kind: Kind
    op: Op
    location_id: str
    id: str
    payload: Payload | None


class Truth(Protocol):
    """The hidden process behind the records."""

    def propensities(self, as_of: dt.datetime) -> dict[str, float]:
        """Probability of a conversion within 60 days after ``as_of``, by contact id."""
        ...

    def states(self, as_of: dt.datetime) -> dict[str, str]:
        """Name of the hidden engagement state at ``as_of``, by contact id."""
        ...

    def conversions(self) -> dict[str, dt.datetime]:
        """When each contact that converts does so (aware, UTC), by contact id."""
        ...

    def duplicates(self) -> dict[str, str]:
        """Each later contact record of a person who had one, with the id of the first."""
        ...


@dataclass(frozen=True)
class Brokerage:
    """A simulated real-estate brokerage with two locations.

    ``records`` are sorted by ``known_at``. The other lists hold the slow-moving parts of the
    account in the shape of HighLevel's API, each entry with its ``locationId`` (a location has
    only ``id``; a user has ``roles.locationIds``). ``broken`` names the records, by kind and id,
    that were made so that a loader must refuse them.
    """

    seed: int
    contacts: int
    anchor: dt.date
    locations: list[Payload] = field(repr=False)
    users: list[Payload] = field(repr=False)
    pipelines: list[Payload] = field(repr=False)
    calendars: list[Payload] = field(repr=False)
    workflows: list[Payload] = field(repr=False)
    custom_fields: list[Payload] = field(repr=False)
    records: list[Record] = field(repr=False)
    broken: frozenset[tuple[Kind, str]] = field(repr=False)
    truth: Truth = field(repr=False)

    def digest(self) -> str:
        """SHA-256 over the canonical JSON of everything that the provider would show."""
        sha = hashlib.sha256()
        for part in self._parts():
            sha.update(json.dumps(part, sort_keys=True, separators=(",", ":")).encode())
            sha.update(b"\n")
        return sha.hexdigest()

    def _parts(self) -> Iterable[object]:
        yield [self.seed, self.contacts, self.anchor.isoformat()]
        yield from (self.locations, self.users, self.pipelines, self.calendars)
        yield from (self.workflows, self.custom_fields)
        for record in self.records:
            yield [record.known_at.isoformat(), *record[1:]]
