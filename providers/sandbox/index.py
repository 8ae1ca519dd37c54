"""Sorted keys in memory, so that a page is a slice and not a scan."""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterator

Key = tuple[int, str]


class KeyIndex:
    """``(number, id)`` keys in ascending order; the number is mostly a time in milliseconds."""

    __slots__ = ("keys",)

    def __init__(self) -> None:
        self.keys: list[Key] = []

    def __len__(self) -> int:
        return len(self.keys)

    def add(self, key: Key) -> None:
        """Adds a key; new ones mostly belong at the end, which is cheap."""
        if not self.keys or key > self.keys[-1]:
            self.keys.append(key)
        else:
            insort(self.keys, key)

    def remove(self, key: Key) -> None:
        """Removes a key that is there."""
        at = bisect_left(self.keys, key)
        if at < len(self.keys) and self.keys[at] == key:
            del self.keys[at]

    def move(self, old: Key, new: Key) -> None:
        """Replaces a key."""
        if old != new:
            self.remove(old)
            self.add(new)

    def walk(
        self,
        *,
        descending: bool = False,
        after: Key | None = None,
        low: int | None = None,
        high: int | None = None,
    ) -> Iterator[str]:
        """Ids in order, beginning behind ``after``, with numbers in ``[low, high]``."""
        for key in self.walk_keys(descending=descending, after=after, low=low, high=high):
            yield key[1]

    def walk_keys(
        self,
        *,
        descending: bool = False,
        after: Key | None = None,
        low: int | None = None,
        high: int | None = None,
    ) -> Iterator[Key]:
        """As :meth:`walk`, whole keys."""
        first, last = self.bounds(low, high)
        if descending:
            if after is not None:
                last = min(last, bisect_left(self.keys, after))
            for at in range(last - 1, first - 1, -1):
                yield self.keys[at]
        else:
            if after is not None:
                first = max(first, bisect_right(self.keys, after))
            for at in range(first, last):
                yield self.keys[at]

    def bounds(self, low: int | None, high: int | None) -> tuple[int, int]:
        """Positions of the first key and behind the last key with numbers in ``[low, high]``."""
        first = 0 if low is None else bisect_left(self.keys, (low, ""))
        last = len(self.keys) if high is None else bisect_left(self.keys, (high + 1, ""))
        return first, last
