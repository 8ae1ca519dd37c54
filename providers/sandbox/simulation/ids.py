"""Ids in HighLevel's shape: twenty letters and digits."""

from __future__ import annotations

import hashlib

import numpy as np

ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
LENGTH = 20
_LOOKUP = np.frombuffer(ALPHABET.encode(), dtype=np.uint8)


def stable_id(name: str) -> str:
    """An id that depends on ``name`` alone: the same for every seed and size."""
    number = int.from_bytes(hashlib.sha256(name.encode()).digest(), "big")
    digits = []
    for _ in range(LENGTH):
        number, digit = divmod(number, len(ALPHABET))
        digits.append(ALPHABET[digit])
    return "".join(digits)


def random_ids(rng: np.random.Generator, count: int) -> list[str]:
    """``count`` ids from the generator; with 62**20 of them a repetition will not be met."""
    letters = _LOOKUP[rng.integers(0, len(ALPHABET), size=(count, LENGTH), dtype=np.uint8)]
    text = letters.tobytes().decode("ascii")
    return [text[i : i + LENGTH] for i in range(0, count * LENGTH, LENGTH)]
