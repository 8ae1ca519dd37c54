"""Where the simulated contacts live, and the phone numbers they have.

Numbers are of the kind set aside for fiction: exchange 555, lines 0100 to 0199, in real area
codes. Very large brokerages go on with other lines of exchange 555, which no subscriber has.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final
from zoneinfo import ZoneInfo

import numpy as np

from providers.sandbox.simulation.chain import Ints

EASTERN: Final = "America/New_York"
CENTRAL: Final = "America/Chicago"
MOUNTAIN: Final = "America/Denver"
ARIZONA: Final = "America/Phoenix"
PACIFIC: Final = "America/Los_Angeles"
ZONES: Final = (EASTERN, CENTRAL, MOUNTAIN, ARIZONA, PACIFIC)


@dataclass(frozen=True)
class Place:
    city: str
    state: str
    postal_code: str
    timezone: str


HOME_PLACES: Final = (
    (
        Place("Tampa", "FL", "33602", EASTERN),
        Place("St. Petersburg", "FL", "33701", EASTERN),
        Place("Clearwater", "FL", "33755", EASTERN),
        Place("Brandon", "FL", "33511", EASTERN),
        Place("Sarasota", "FL", "34236", EASTERN),
        Place("Orlando", "FL", "32801", EASTERN),
        Place("Pensacola", "FL", "32501", CENTRAL),
    ),
    (
        Place("Austin", "TX", "78701", CENTRAL),
        Place("Round Rock", "TX", "78664", CENTRAL),
        Place("Cedar Park", "TX", "78613", CENTRAL),
        Place("San Marcos", "TX", "78666", CENTRAL),
        Place("San Antonio", "TX", "78205", CENTRAL),
        Place("Georgetown", "TX", "78626", CENTRAL),
        Place("El Paso", "TX", "79901", MOUNTAIN),
    ),
)
HOME_WEIGHTS: Final = (0.34, 0.18, 0.13, 0.12, 0.1, 0.09, 0.04)
AWAY_SHARE: Final = 0.18
AWAY_PLACES: Final = (
    Place("Brooklyn", "NY", "11201", EASTERN),
    Place("Jersey City", "NJ", "07302", EASTERN),
    Place("Philadelphia", "PA", "19103", EASTERN),
    Place("Atlanta", "GA", "30303", EASTERN),
    Place("Charlotte", "NC", "28202", EASTERN),
    Place("Boston", "MA", "02108", EASTERN),
    Place("Columbus", "OH", "43215", EASTERN),
    Place("Chicago", "IL", "60601", CENTRAL),
    Place("Minneapolis", "MN", "55401", CENTRAL),
    Place("Nashville", "TN", "37203", CENTRAL),
    Place("Denver", "CO", "80202", MOUNTAIN),
    Place("Phoenix", "AZ", "85003", ARIZONA),
    Place("Los Angeles", "CA", "90012", PACIFIC),
    Place("San Diego", "CA", "92101", PACIFIC),
    Place("Seattle", "WA", "98101", PACIFIC),
)
PLACES: Final = (*HOME_PLACES[0], *HOME_PLACES[1], *AWAY_PLACES)

STREETS: Final = (
    "Simulated Oak Ave",
    "Example St",
    "Sample Ridge Rd",
    "Placeholder Ln",
    "Demo Lake Dr",
    "Fictional Way",
    "Testing Pine Ct",
    "Invented Hill Blvd",
)

AREA_CODES: Final[dict[str, tuple[int, ...]]] = {
    "FL": (239, 305, 321, 352, 386, 407, 448, 561, 645, 656, 689, 727, 754, 772, 786, 813, 850,
           863, 904, 941, 954),
    "TX": (210, 214, 254, 281, 325, 346, 361, 409, 430, 432, 469, 512, 682, 713, 726, 737, 806,
           817, 830, 832, 903, 915, 936, 940, 945, 956, 972, 979),
    "NY": (212, 315, 332, 347, 516, 518, 585, 607, 631, 646, 716, 718, 845, 914, 917, 929),
    "NJ": (201, 551, 609, 640, 732, 848, 856, 862, 908, 973),
    "PA": (215, 223, 267, 272, 412, 484, 570, 610, 717, 724, 814, 878),
    "GA": (229, 404, 470, 478, 678, 706, 762, 770, 912),
    "NC": (252, 336, 704, 743, 828, 910, 919, 980, 984),
    "MA": (339, 351, 413, 508, 617, 774, 781, 857, 978),
    "OH": (216, 220, 234, 330, 380, 419, 440, 513, 567, 614, 740, 937),
    "IL": (217, 224, 309, 312, 331, 618, 630, 708, 773, 779, 815, 847, 872),
    "MN": (218, 320, 507, 612, 651, 763, 952),
    "TN": (423, 615, 629, 731, 865, 901, 931),
    "CO": (303, 719, 720, 970),
    "AZ": (480, 520, 602, 623, 928),
    "CA": (209, 213, 310, 323, 408, 415, 424, 442, 510, 530, 559, 562, 619, 626, 628, 650, 657,
           661, 669, 707, 714, 747, 760, 805, 818, 831, 858, 909, 916, 925, 949, 951),
    "WA": (206, 253, 360, 425, 509, 564),
}  # fmt: skip
_OFFICE_LINES: Final = 120  # 0100 to 0119 belong to the offices and agents
_FICTION_END: Final = 200
_DIRECTORY_ASSISTANCE: Final = 1212


def zone_offsets(start: dt.date, days: int) -> Ints:
    """``[zone, day]``: minutes to add to UTC for local time, as of the day's noon."""
    table = np.empty((len(ZONES), days), dtype=np.int64)
    for z, name in enumerate(ZONES):
        zone = ZoneInfo(name)
        for day in range(days):
            noon = dt.datetime.combine(start + dt.timedelta(days=day), dt.time(12), tzinfo=zone)
            offset = noon.utcoffset()
            assert offset is not None  # noqa: S101 - a ZoneInfo always has one
            table[z, day] = int(offset.total_seconds()) // 60
    return table


class PhoneBook:
    """Hands out each fictional number once (E.164), nearest to a state first."""

    def __init__(self, rng: np.random.Generator) -> None:
        self._by_state = {
            state: self._shuffled(codes, rng) for state, codes in sorted(AREA_CODES.items())
        }
        self._all_codes = tuple(code for _, codes in sorted(AREA_CODES.items()) for code in codes)
        self._order = sorted(self._by_state)
        self._turn = 0
        self._beyond = self._further_lines()

    @staticmethod
    def _shuffled(codes: tuple[int, ...], rng: np.random.Generator) -> list[str]:
        numbers = [
            f"+1{code}555{line:04d}"
            for code in codes
            for line in range(_OFFICE_LINES, _FICTION_END)
        ]
        return [numbers[i] for i in rng.permutation(len(numbers)).tolist()]

    def _further_lines(self) -> Iterator[str]:
        for line in range(_FICTION_END, 10_000):
            if line != _DIRECTORY_ASSISTANCE:
                for code in self._all_codes:
                    yield f"+1{code}555{line:04d}"

    def take(self, state: str | None) -> str:
        """A number not given out before; of ``state`` while there are any."""
        pool = self._by_state.get(state or "")
        if pool:
            return pool.pop()
        for _ in self._order:
            self._turn = (self._turn + 1) % len(self._order)
            pool = self._by_state[self._order[self._turn]]
            if pool:
                return pool.pop()
        return next(self._beyond)


def display_phone(e164: str, style: int) -> str:
    """A US number the way a person might have typed it; ``style`` from 0 to 4."""
    area, exchange, line = e164[2:5], e164[5:8], e164[8:]
    return (
        f"({area}) {exchange}-{line}",
        f"{area}-{exchange}-{line}",
        f"{area}{exchange}{line}",
        f"+1 {area} {exchange} {line}",
        f"1.{area}.{exchange}.{line}",
    )[style]
