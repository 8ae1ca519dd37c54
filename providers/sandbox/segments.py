"""How many SMS segments a text takes (3GPP TS 23.038)."""

from __future__ import annotations

_BASIC = set(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡"
    "ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
_EXTENDED = set("\f^{}\\[~]|€")


def segment_count(text: str) -> int:
    """Segments of ``text``: 160 or 153 GSM-7 units each, 70 or 67 UTF-16 units otherwise."""
    if all(c in _BASIC or c in _EXTENDED for c in text):
        units = [2 if c in _EXTENDED else 1 for c in text]
        single, several = 160, 153
    else:
        units = [len(c.encode("utf-16-be")) // 2 for c in text]
        single, several = 70, 67
    if sum(units) <= single:
        return 1
    count, room = 1, several
    for unit in units:
        # An escape pair or a surrogate pair is not split over two segments.
        if unit > room:
            count, room = count + 1, several
        room -= unit
    return count
