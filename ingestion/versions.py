"""Versions of a row: when a record counts as changed, and when we learned of the change."""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from leadengine.clock import Clock

_TICK = timedelta(microseconds=1)


def row_hash(row: Mapping[str, Any]) -> str:
    """A digest of the row's content; the order of keys, within JSON too, does not matter."""
    text = json.dumps(row, sort_keys=True, default=str, separators=(",", ":"))
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def known_at(
    row: Mapping[str, Any], known_from: Iterable[str], loaded_at: datetime, *, backfill: bool
) -> datetime:
    """When this version was known, in UTC; never later than it was loaded.

    History that was there before the first load counts as known when the provider had it: the
    latest of the times in ``known_from``. Whatever comes afterwards was known when we loaded it,
    however old it says it is, so that late and corrected rows cannot leak into the past.
    """
    times: list[datetime] = [row[name] for name in known_from if row.get(name) is not None]
    if not backfill or not times:
        return loaded_at
    return min(max(times), loaded_at)


class Stamp:
    """Load times of one load: strictly increasing, so that of two versions the later one wins.

    Args:
        clock: tells the time.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._last = datetime.min.replace(tzinfo=UTC)

    def next(self) -> datetime:
        """The present moment, or a microsecond past the last one given."""
        self._last = max(self._clock.now(), self._last + _TICK)
        return self._last


class Versions:
    """Finds the records of a load that are new versions, and stamps them.

    Args:
        known_from: fields that tell when the provider had a version, see :func:`known_at`.
        primary_key: columns that identify a row.
        backfill: whether this is the table's (or its location's) first load.
        origins: for rows that hang on another one, by ``id``: when the other one was known, in
            UTC, if it belongs to the backfill. Given at all, it decides what is backfill.
    """

    def __init__(
        self,
        known_from: Iterable[str],
        primary_key: Iterable[str],
        *,
        backfill: bool,
        origins: Mapping[str, datetime] | None = None,
    ) -> None:
        self._known_from = tuple(known_from)
        self._primary_key = tuple(primary_key)
        self._backfill = backfill
        self._origins = origins
        self._seen: dict[tuple[str, ...], str] = {}

    def key(self, row: Mapping[str, Any]) -> tuple[str, ...]:
        """The row's primary key."""
        return tuple(row[name] for name in self._primary_key)

    def changed(
        self,
        rows: Iterable[dict[str, Any]],
        stored: Mapping[tuple[str, ...], str],
        loaded_at: datetime,
    ) -> Iterator[dict[str, Any]]:
        """The rows that differ from what is stored and from what this load gave already.

        Args:
            rows: validated rows of one page; of several with one key the last counts.
            stored: digests in the database by primary key.
            loaded_at: when this page came; later than that of every page before it.
        """
        for key, row in {self.key(row): row for row in rows}.items():
            digest = row_hash(row)
            if self._seen.get(key, stored.get(key)) == digest:
                continue
            self._seen[key] = digest
            known, backfill = self._stamp(row, loaded_at)
            yield row | {
                "_loaded_at": loaded_at,
                "_known_at": known,
                "_backfill": backfill,
                "_row_hash": digest,
            }

    def _stamp(self, row: Mapping[str, Any], loaded_at: datetime) -> tuple[datetime, bool]:
        if self._origins is None:
            known = known_at(row, self._known_from, loaded_at, backfill=self._backfill)
            return known, self._backfill
        origin = self._origins.get(str(row.get("id")))
        if origin is None:
            return loaded_at, False
        return min(origin, loaded_at), True
