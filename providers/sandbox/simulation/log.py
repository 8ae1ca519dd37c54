"""Where the parts of the simulation write their records, and what they all need to know."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from providers.sandbox.simulation import world
from providers.sandbox.simulation.ids import random_ids
from providers.sandbox.simulation.model import Kind, Op, Payload, Record
from providers.sandbox.simulation.people import PRICE_BANDS, SOURCES, People
from providers.sandbox.simulation.places import PLACES
from providers.sandbox.simulation.timeline import Calendar, stream, to_datetime

SELL = 1
_Row = tuple[Kind, Op, str, str, Payload | None]


@dataclass
class Log:
    """Records in the order of writing; sorted by time at the end."""

    calendar: Calendar
    times: list[int] = field(default_factory=list)
    rows: list[_Row] = field(default_factory=list)

    def upsert(self, ms: int, kind: Kind, location: str, id_: str, payload: Payload) -> None:
        self.times.append(ms)
        self.rows.append((kind, "upsert", location, id_, payload))

    def delete(self, ms: int, kind: Kind, location: str, id_: str) -> None:
        self.times.append(ms)
        self.rows.append((kind, "delete", location, id_, None))

    def records(self) -> list[Record]:
        """All rows known before the simulation's end, by time; ties as they were written."""
        times = np.array(self.times, dtype=np.int64)
        order = np.argsort(times, kind="stable")
        order = order[times[order] <= self.calendar.end_ms]
        rows, stamps = self.rows, times[order].tolist()
        return [
            Record(to_datetime(ms), *rows[i]) for ms, i in zip(stamps, order.tolist(), strict=True)
        ]


@dataclass(frozen=True)
class Cast:
    """The people with their ids and the words that stand for them in texts."""

    seed: int
    calendar: Calendar
    people: People
    contact_ids: list[str]
    conversation_ids: list[str]
    office: list[int]
    location_ids: list[str]  # one a person
    agent_ids: list[str]
    slots: list[dict[str, str]]

    def __len__(self) -> int:
        return len(self.contact_ids)

    def sells(self, person: int) -> bool:
        return bool(self.people.intent[person] == SELL)


def make_cast(seed: int, calendar: Calendar, people: People) -> Cast:
    """Gives everybody ids and the slots of their texts."""
    count = len(people)
    office = people.office.tolist()
    agents = people.agent.tolist()
    agent_ids = [agent.id for agent in world.AGENTS]
    location_ids = [o.id for o in world.OFFICES]
    slots = [
        {
            "first": people.first_name[i],
            "agent": world.AGENTS[agent].first_name,
            "office": world.OFFICES[o].name.removesuffix(" (simulated)"),
            "city": PLACES[place].city if PLACES[place].state == home else world.OFFICES[o].city,
            "price": f"${PRICE_BANDS[band][1]:,}",
            "beds": str(beds),
        }
        for i, (agent, o, place, band, beds, home) in enumerate(
            zip(
                agents,
                office,
                people.place.tolist(),
                people.band.tolist(),
                people.beds.tolist(),
                [world.OFFICES[o].state for o in office],
                strict=True,
            )
        )
    ]
    return Cast(
        seed=seed,
        calendar=calendar,
        people=people,
        contact_ids=random_ids(stream(seed, "contact ids"), count),
        conversation_ids=random_ids(stream(seed, "conversation ids"), count),
        office=office,
        location_ids=[location_ids[o] for o in office],
        agent_ids=[agent_ids[a] for a in agents],
        slots=slots,
    )


SOURCE_NAMES = tuple(SOURCES)
