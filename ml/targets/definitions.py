"""The targets: what each means, for whom it is predicted, and where its model is registered."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import numpy as np
import pandas as pd

Mask = np.ndarray[Any, np.dtype[np.bool_]]

MODEL = "model"
BASE_RATE = "base_rate"
NOT_ENOUGH = "not_enough_evidence"

# Fewer of the rarer outcome than this, and a model would tell more about chance than about leads.
LEAST_OUTCOMES = 50
# As dbt's variable dormant_days, by which recovery is trained.
DORMANT_DAYS = 30


def _everyone(features: pd.DataFrame) -> Mask:
    return np.ones(len(features), dtype=np.bool_)


def _booked(features: pd.DataFrame) -> Mask:
    return np.asarray(features["appointments_pending_count"] > 0)


def _dormant(features: pd.DataFrame) -> Mask:
    return np.asarray(features["days_dormant"] >= DORMANT_DAYS)


@dataclass(frozen=True)
class Target:
    """Something that may happen to a lead.

    Attributes:
        name: as in ``intermediate.int_target_training_set`` and ``ml.lead_predictions``.
        meaning: what the probability is of, in a sentence.
        window: how far its label looks ahead at most.
        applies: for which of the open leads, by their features, it is predicted.
        survival: whether it is a time rather than a yes or no.
    """

    name: str
    meaning: str
    window: timedelta
    applies: Callable[[pd.DataFrame], Mask] = _everyone
    survival: bool = False

    @property
    def registered_name(self) -> str:
        """The model's name in MLflow's registry."""
        return f"lead_{self.name}"


TARGETS = (
    Target("reply_sms", "A text sent now is answered by text.", timedelta(days=3)),
    Target("reply_email", "An email sent now is answered by email.", timedelta(days=7)),
    Target("no_show", "The lead does not turn up at its appointment.", timedelta(days=2), _booked),
    Target("recovery", "The dormant lead writes or calls.", timedelta(days=30), _dormant),
    Target(
        "time_to_convert",
        "The lead converts within 30, 60 or 90 days.",
        timedelta(days=90),
        survival=True,
    ),
)
