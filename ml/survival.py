"""Time to convert as a discrete-time hazard: one row per lead and period that it lived to see.

The chance of converting within a period, given none before, is an ordinary binary outcome, so the
model is the same as of every other target, the period being one more feature (Singer & Willett,
1993, "It's about time"). Leads that are given up stay at risk, as in Fine & Gray's subdistribution:
they can no longer convert, and the share that converts by a day has to say so.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from ml.model import LeadModel
from ml.schema import Matrix

# In days: closer where most of it happens.
PERIODS = ((0, 7), (7, 14), (14, 30), (30, 60), (60, 90))
PERIOD = "days_waited"
HORIZONS = (30, 60, 90)


@dataclass(frozen=True)
class PersonPeriods:
    """Rows to train on.

    Attributes:
        row: for each, the place of the lead's row in what was given.
        start: the period's first day, a feature.
        label: 1 where the lead converted within the period.
    """

    row: "np.ndarray[Any, np.dtype[np.int64]]"
    start: Matrix
    label: Matrix

    def frame(self, features: pd.DataFrame) -> pd.DataFrame:
        """The features of each row, with the period's."""
        return features.iloc[self.row].reset_index(drop=True).assign(**{PERIOD: self.start})


def person_periods(event_days: Matrix, observed_days: Matrix) -> PersonPeriods:
    """The periods that each lead entered unconverted and whose end is known.

    Args:
        event_days: days to the conversion; NaN without one.
        observed_days: days until nothing more is known.
    """
    rows, starts, labels = [], [], []
    for start, end in PERIODS:
        before = event_days < start  # NaN is not before anything
        within = (event_days >= start) & (event_days < end)
        known = within | (observed_days >= end)
        at_risk = np.flatnonzero(~before & known)
        rows.append(at_risk)
        starts.append(np.full(len(at_risk), float(start)))
        labels.append(within[at_risk].astype(np.float64))
    return PersonPeriods(np.concatenate(rows), np.concatenate(starts), np.concatenate(labels))


@dataclass(frozen=True)
class ConversionTimes:
    """What is expected of each lead.

    Attributes:
        within: by horizon in days, the probability of a conversion by then.
        median_days: by when every second such lead has converted; NaN where that is past the
            last period.
    """

    within: dict[int, Matrix]
    median_days: Matrix


def conversion_times(model: LeadModel, features: pd.DataFrame) -> ConversionTimes:
    """Conversion by each horizon, and the median, from the hazards of the periods.

    Args:
        model: trained on :meth:`PersonPeriods.frame`.
        features: one row per lead.
    """
    matrix = model.schema.encode(features.assign(**{PERIOD: 0.0}))
    place = model.schema.names.index(PERIOD) if PERIOD in model.schema.names else None
    alive = np.ones(len(features))
    median = np.full(len(features), np.nan)
    within: dict[int, Matrix] = {}
    for start, end in PERIODS:
        if place is not None:
            matrix[:, place] = float(start)
        before, alive = alive, alive * (1.0 - model.predict(matrix))
        crossed = (before > 0.5) & (alive <= 0.5)
        # Within a period the hazard is taken to be even.
        share = np.log(before[crossed] / 0.5) / np.log(before[crossed] / alive[crossed])
        median[crossed] = start + share * (end - start)
        if end in HORIZONS:
            within[end] = 1.0 - alive
    return ConversionTimes(within, median)
