"""What others wrote, in a form that PostgreSQL can hold.

Its text has no NUL and no halves of surrogate pairs, its JSON no NaN; JSON and forms that come over
the wire can have all of them. Losing a stray byte is better than losing what carried it.
"""

import math
from typing import Any


def storable_text(value: str) -> str:
    """``value`` without NUL, and with a question mark for each half of a surrogate pair."""
    if "\x00" in value:
        value = value.replace("\x00", "")
    if not value.isascii():
        value = value.encode("utf-8", "replace").decode("utf-8")
    return value


def storable(value: Any) -> Any:
    """``value`` as jsonb can hold it; what it cannot hold becomes text that shows it."""
    if isinstance(value, str):
        return storable_text(value)
    if isinstance(value, dict):
        return {storable_text(str(key)): storable(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [storable(entry) for entry in value]
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if value is None or isinstance(value, bool | int | float):
        return value
    return storable_text(str(value))
