"""What a text message costs: its alphabet and its segments.

GSM 03.38 (7 bits, 160 characters alone or 153 a segment) unless a character forces UCS-2 (16 bits,
70 or 67). Characters of the extension table count twice.
https://www.twilio.com/docs/glossary/what-is-gsm-7-character-encoding
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

_BASIC = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
_EXTENDED = frozenset("^{}\\[~]|€\f")

# A US carrier's fee and Twilio's price for one segment from a 10DLC number, in cents.
CENTS_PER_SEGMENT = 1.13


@dataclass(frozen=True, slots=True)
class SmsSize:
    """A text's alphabet, its length in that alphabet's units, and its segments."""

    alphabet: Literal["GSM-7", "UCS-2"]
    units: int
    segments: int
    forced_by: str
    """The characters that are not in GSM-7, each once."""

    @property
    def cents(self) -> float:
        """What sending it once costs, about, in US cents."""
        return self.segments * CENTS_PER_SEGMENT


def sms_size(text: str) -> SmsSize:
    """Measures a text as the carriers do."""
    foreign = "".join(dict.fromkeys(c for c in text if c not in _BASIC and c not in _EXTENDED))
    if not foreign:
        widths = [2 if character in _EXTENDED else 1 for character in text]
        return SmsSize("GSM-7", sum(widths), _segments(widths, 160, 153), "")
    # UCS-2 counts UTF-16 units: an emoji is two.
    widths = [len(character.encode("utf-16-le")) // 2 for character in text]
    return SmsSize("UCS-2", sum(widths), _segments(widths, 70, 67), foreign)


def _segments(widths: list[int], alone: int, each: int) -> int:
    """A character of two units is never split over two segments."""
    if sum(widths) <= alone:
        return 1
    segments, used = 1, 0
    for width in widths:
        if used + width > each:
            segments, used = segments + 1, 0
        used += width
    return segments
