"""The simulated calendar: days, minutes of local time, and milliseconds of UTC."""

from __future__ import annotations

import datetime as dt
import zlib
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from leadengine.errors import LeadEngineError
from providers.sandbox.simulation.chain import DAY_STARTS, Ints
from providers.sandbox.simulation.places import ZONES, zone_offsets

MONTHS_BACK: Final = 18
DAYS_AHEAD: Final = 14
MINUTE: Final = 60_000
HOUR: Final = 60 * MINUTE
DAY: Final = 24 * HOUR
EPOCH: Final = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)


def stream(seed: int, purpose: str) -> np.random.Generator:
    """The random stream of one purpose: changing one part leaves the others' draws alone."""
    words = np.random.SeedSequence([seed, zlib.crc32(purpose.encode())])
    return np.random.Generator(np.random.PCG64(words))


def months_before(day: dt.date, months: int) -> dt.date:
    """The same day of the month earlier on, or the last one that the month has."""
    index = day.year * 12 + day.month - 1 - months
    year, month = divmod(index, 12)
    following = dt.date(year + (month == 11), (month + 1) % 12 + 1, 1)
    last = (following - dt.timedelta(days=1)).day
    return dt.date(year, month + 1, min(day.day, last))


@dataclass(frozen=True)
class Calendar:
    """The period that is simulated.

    Attributes:
        start: local date of day 0.
        anchor: the day at whose midnight (UTC) history ends and the future begins.
        days: number of simulated days; the last ends after ``end_ms``.
        offsets: ``[zone, day]`` minutes to add to UTC for local time.
    """

    start: dt.date
    anchor: dt.date
    days: int
    offsets: Ints

    @classmethod
    def around(cls, anchor: dt.date) -> Calendar:
        """From 18 months before the anchor to 14 days after it."""
        try:
            start = months_before(anchor, MONTHS_BACK)
            days = (anchor - start).days + DAYS_AHEAD
            return cls(start, anchor, days, zone_offsets(start, days))
        except (OverflowError, ValueError) as error:
            raise LeadEngineError(
                f"The sandbox cannot simulate a brokerage around {anchor}",
                remedy="Choose an anchor date between 1970 and 2100.",
            ) from error

    @property
    def history_days(self) -> int:
        """Days before the anchor."""
        return self.days - DAYS_AHEAD

    @property
    def start_ms(self) -> int:
        """Midnight UTC of the first day."""
        return _midnight_ms(self.start)

    @property
    def anchor_ms(self) -> int:
        return _midnight_ms(self.anchor)

    @property
    def end_ms(self) -> int:
        """Records known after this are not part of the simulation."""
        return self.anchor_ms + DAYS_AHEAD * DAY

    def utc_ms(self, zone: Ints, day: Ints, local_ms: Ints) -> Ints:
        """UTC of a local time; ``local_ms`` counts from the local midnight of ``day``."""
        offset = self.offsets[zone, np.minimum(day, self.days - 1)]
        return self.start_ms + day * DAY + local_ms - offset * MINUTE

    def local_minute(self, zone: Ints, utc_ms: Ints) -> Ints:
        """Minute of the local day, 0 to 1439."""
        day = np.clip((utc_ms - self.start_ms) // DAY, 0, self.days - 1)
        return (utc_ms // MINUTE + self.offsets[zone, day]) % 1440

    def sim_day(self, at_ms: int) -> int:
        """The simulated day that holds an instant; negative before the first."""
        return (at_ms - self.start_ms - int(DAY_STARTS.total_seconds()) * 1000) // DAY


def zone_index(name: str) -> int:
    return ZONES.index(name)


def to_datetime(ms: int) -> dt.datetime:
    return EPOCH + dt.timedelta(milliseconds=ms)


def to_ms(at: dt.datetime) -> int:
    return (at - EPOCH) // dt.timedelta(milliseconds=1)


def iso(ms: int) -> str:
    """As HighLevel writes instants: ``2025-03-04T15:06:07.089Z``."""
    return to_datetime(ms).isoformat(timespec="milliseconds")[:-6] + "Z"


def iso_many(ms: Ints) -> list[str]:
    """:func:`iso` of an array."""
    stamps = np.datetime_as_string(ms.astype("datetime64[ms]"), unit="ms", timezone="UTC")
    result: list[str] = stamps.tolist()
    return result


def _midnight_ms(day: dt.date) -> int:
    return (day - EPOCH.date()).days * DAY


Bools = npt.NDArray[np.bool_]
