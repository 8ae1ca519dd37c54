"""How many SMS segments a text takes (3GPP TS 23.038): carriers count and charge by these."""

from __future__ import annotations

import re

# The basic alphabet, in which a character is one unit, and its extension, in which it is two.
_BASIC = re.compile(
    "[@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,\\-./0-9:;<=>?¡A-ZÄÖÑÜ§¿a-zäöñüà]*"
)
_EXTENDED = "\f^{}\\[~]|€"
_SINGLE, _PART = 160, 153
_UNICODE_SINGLE, _UNICODE_PART = 70, 67


def segment_count(text: str) -> int:
    """Segments of ``text``: 160 units, or 153 each if several; 70 and 67 if not all is GSM-7.

    An escaped character or a surrogate pair is not split over two segments.
    """
    if _BASIC.fullmatch(text):
        return 1 if len(text) <= _SINGLE else -(-len(text) // _PART)
    if all(character in _EXTENDED or _BASIC.fullmatch(character) for character in text):
        units = [2 if character in _EXTENDED else 1 for character in text]
        single, part = _SINGLE, _PART
    else:
        units = [len(character.encode("utf-16-be")) // 2 for character in text]
        single, part = _UNICODE_SINGLE, _UNICODE_PART
    if sum(units) <= single:
        return 1
    count, room = 1, part
    for unit in units:
        if unit > room:
            count, room = count + 1, part
        room -= unit
    return count
