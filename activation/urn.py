"""The urn of a batch that changes nothing: which of its conversions are those of held-out leads.

Given how many leads have converted, how many of them are in the holdout is a draw without
replacement, whatever the conversion curve, as long as the message changes nothing.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln

Floats = NDArray[np.float64]
_NEGLIGIBLE = 1e-25


class Urn:
    """All leads of a batch, of whom ``holdout`` are held out."""

    def __init__(self, send: int, holdout: int) -> None:
        self.send = send
        self.holdout = holdout
        self.total = send + holdout
        self._fixed = _log_factorials(self.total)

    def log_pmf(self, converted: int) -> Floats:
        """Log probability of 0, 1, ... conversions in the holdout, of so many in both arms."""
        counts = np.arange(min(self.holdout, converted) + 1)
        return np.asarray(
            self._log_choose(self.holdout, counts)
            + self._log_choose(self.send, converted - counts)
            - self._log_choose(self.total, np.asarray([converted]))
        )

    def chances(
        self, held: NDArray[np.int64], new: NDArray[np.int64], drawn: int, more: int
    ) -> Floats:
        """Probabilities that ``new`` of the next ``more`` draws are held out.

        Args:
            held: held-out leads among those drawn.
            new: of any shape that goes with ``held``; what cannot be has probability 0.
            drawn: leads drawn so far.
            more: draws that follow.
        """
        left_held, left = self.holdout - held, self.total - drawn
        return np.exp(
            self._log_choose(left_held, new)
            + self._log_choose(left - left_held, more - new)
            - self._log_choose(left, np.asarray([more]))
        )

    def draw(self, state: Floats, drawn: int, more: int) -> Floats:
        """The probability of each number of held-out leads after ``more`` draws.

        Args:
            state: the same after ``drawn`` draws.
            drawn: leads drawn so far.
            more: draws that follow.
        """
        size = min(self.holdout, drawn + more) + 1
        after = np.zeros(size)
        likely = np.flatnonzero(state > _NEGLIGIBLE)
        if more == 0 or not len(likely):
            after[: len(state)] = state
            return after
        first, last = int(likely[0]), int(likely[-1]) + 1
        new = np.arange(min(more, self.holdout) + 1)[:, None]
        moved = self.chances(np.arange(first, last), new, drawn, more) * state[first:last]
        for count, row in enumerate(moved):
            end = min(last + count, size)
            if end > first + count:
                after[first + count : end] += row[: end - first - count]
        return after

    def _log_choose(self, top: NDArray[np.int64] | int, bottom: NDArray[np.int64]) -> Floats:
        """Logarithm of the binomial coefficient; minus infinity where it is 0."""
        tops, bottoms = np.broadcast_arrays(top, bottom)
        possible = (bottoms >= 0) & (bottoms <= tops)
        k = np.where(possible, bottoms, 0)
        n = np.where(possible, tops, 0)
        fixed = self._fixed
        return np.where(possible, fixed[n] - fixed[k] - fixed[n - k], -np.inf)


@lru_cache(maxsize=8)
def _log_factorials(most: int) -> Floats:
    return np.asarray(gammaln(np.arange(most + 1, dtype=float) + 1.0))
