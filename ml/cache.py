"""Feature vectors that need not be computed again, each good for exactly what it was made from."""

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from ml.reasons import Explanation


@dataclass(frozen=True)
class Answer:
    """What one version of the model says of a vector."""

    version: str
    score: float
    tier: str
    digest: str
    explanation: Explanation
    packed: bytes


@dataclass
class Vector:
    """A lead's features at a moment.

    Attributes:
        as_of: the moment, UTC.
        inputs: digest of the rows that the features were computed from.
        features: values by name, as the warehouse has them.
        answer: what the last model that was asked said of them.
    """

    as_of: datetime
    inputs: str
    features: Mapping[str, Any]
    answer: Answer | None = field(default=None)


class FeatureCache:
    """The newest vector of each of the leads last asked for.

    A vector is given out only for the moment that it is of and for inputs with the digest that it
    was computed from; both are read from the database at each request. So nothing has to tell the
    cache of a change, and a change cannot be missed. Used on the scorer's event loop alone.

    Args:
        size: how many leads; the one not asked for longest goes first.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._vectors: OrderedDict[str, Vector] = OrderedDict()
        self.hits = 0
        self.misses = 0

    def find(self, lead_id: str, as_of: datetime, inputs: str) -> Vector | None:
        """The lead's vector of that moment and those inputs, if it is here."""
        vector = self._vectors.get(lead_id)
        if vector is None or (vector.as_of, vector.inputs) != (as_of, inputs):
            return None
        self._vectors.move_to_end(lead_id)
        self.hits += 1
        return vector

    def keep(self, lead_id: str, vector: Vector) -> None:
        """Puts a vector in the place of the lead's earlier one."""
        self.misses += 1
        self._vectors[lead_id] = vector
        self._vectors.move_to_end(lead_id)
        if len(self._vectors) > self._size:
            self._vectors.popitem(last=False)

    def __contains__(self, lead_id: str) -> bool:
        return lead_id in self._vectors

    def __len__(self) -> int:
        return len(self._vectors)
