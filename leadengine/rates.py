"""Rates as settings state them: ``100/10`` is a hundred requests in any ten seconds."""

from __future__ import annotations

import re
from typing import Annotated, Any, NamedTuple

from pydantic import BeforeValidator

_FORM = re.compile(r"(\d{1,9})\s*/\s*(\d{1,6})")
MOST_REQUESTS = 100_000
MOST_SECONDS = 86_400


class Rate(NamedTuple):
    """At most so many requests in any so many seconds."""

    requests: int
    seconds: int


def parse_rate(value: Any) -> Any:
    """Reads ``requests/seconds``; what is a rate already stays.

    Raises:
        ValueError: it has another form, or is out of bounds.
    """
    if isinstance(value, Rate):
        return value
    match = _FORM.fullmatch(value.strip()) if isinstance(value, str) else None
    if match is None:
        raise ValueError("a rate is requests/seconds, such as 100/10 for a hundred in ten seconds")
    rate = Rate(int(match[1]), int(match[2]))
    if not (1 <= rate.requests <= MOST_REQUESTS and 1 <= rate.seconds <= MOST_SECONDS):
        raise ValueError(
            f"a rate has 1 to {MOST_REQUESTS:,} requests in 1 to {MOST_SECONDS:,} seconds"
        )
    return rate


RateSetting = Annotated[Rate, BeforeValidator(parse_rate)]
