"""Chance and ids that depend on names alone: the same seed and the same history, the same world."""

from __future__ import annotations

import hashlib
import math
import uuid
from datetime import UTC, datetime
from typing import Any, TypeVar

T = TypeVar("T")
_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


def digest(*parts: object) -> bytes:
    """32 bytes that depend on the texts of ``parts``."""
    return hashlib.blake2b("\x1f".join(map(str, parts)).encode(), digest_size=32).digest()


def uniform(*parts: object) -> float:
    """A number in [0, 1)."""
    return int.from_bytes(digest(*parts)[:7], "big") / 2**56


def lognormal(median: float, sigma: float, *parts: object) -> float:
    """A positive number with the given median, by Box-Muller."""
    first = 1.0 - uniform("a", *parts)
    second = uniform("b", *parts)
    normal = math.sqrt(-2.0 * math.log(first)) * math.cos(2.0 * math.pi * second)
    return median * math.exp(sigma * normal)


def pick(options: list[T], *parts: object) -> T:
    """One of ``options``."""
    return options[int(uniform(*parts) * len(options))]


def hex_id(prefix: str, *parts: object) -> str:
    """Twilio's shape: two letters and 32 hexadecimal digits."""
    return prefix + digest(*parts).hex()[:32]


def letters_id(length: int, *parts: object) -> str:
    """HighLevel's and SendGrid's shape: letters and digits."""
    number = int.from_bytes(digest(*parts), "big")
    out = []
    for _ in range(length):
        number, rest = divmod(number, 62)
        out.append(_ALPHABET[rest])
    return "".join(out)


def uuid_id(*parts: object) -> str:
    """A UUID (version 4 by its bits)."""
    return str(uuid.UUID(bytes=digest(*parts)[:16], version=4))


def iso(moment: datetime) -> str:
    """``2026-01-31T12:00:00.123Z``, as HighLevel writes times."""
    return (
        moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03}Z"
    )


def parse_time(text: str) -> datetime:
    """An ISO time; without an offset it is UTC.

    Raises:
        ValueError: it is not one.
    """
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def millis(moment: datetime) -> int:
    """Milliseconds since 1970."""
    return round(moment.timestamp() * 1000)


def time_millis(text: str) -> int:
    """Milliseconds since 1970 of an ISO time."""
    return millis(parse_time(text))


def place_in_time(document: dict[str, Any], *names: str) -> int:
    """Milliseconds of the first of these fields that holds a time, 0 if none does.

    CRMs hold broken rows as well, and give them away like the others.
    """
    for name in names:
        value = document.get(name)
        if isinstance(value, str):
            try:
                return time_millis(value)
            except (ValueError, OverflowError):
                continue
    return 0
