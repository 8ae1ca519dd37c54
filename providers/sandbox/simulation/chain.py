"""The hidden engagement of a contact: a daily Markov chain with absorbing ends.

During a simulated day a contact is in one state; the state changes between days. A day starts
at 08:00 UTC, when it is night in every time zone of the United States, so that a whole local
day of waking hours (and a whole office day) falls into one simulated day.

While booked, the chain counts the days down: ``BOOKED_1`` is the day of the appointment itself,
on which the contact either turns up (a conversion) or does not. A conversion without an
appointment is a deal won straight from a conversation. ``LOST`` is final as well.

What moves a contact upwards is multiplied by ``exp(score)``, where the score adds up what was
known when the contact came in (:mod:`.people`). The first step, from new to active, depends on
how fast the agent answered, too.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.signedinteger[Any]]

NEW, ACTIVE, HOT, COOLING, DORMANT = range(5)
BOOKED_1: Final = 5
LONGEST_LEAD: Final = 7
"""Days from booking to the appointment's day, both counted, at most."""
TRANSIENT: Final = BOOKED_1 + LONGEST_LEAD
CONVERTED: Final = TRANSIENT
LOST: Final = TRANSIENT + 1
NOT_HERE: Final = -1

STATE_NAMES: Final = (
    "new",
    "active",
    "hot",
    "cooling",
    "dormant",
    *(f"booked_{k + 1}" for k in range(LONGEST_LEAD)),
    "converted",
    "lost",
)

HORIZON_DAYS: Final = 60
DAY_STARTS: Final = dt.timedelta(hours=8)
FIRST_SLOT_MINUTE: Final = 9 * 60
SLOT_MINUTES: Final = 30
SLOTS: Final = 17
"""Outcomes happen at an office-local slot: 09:00, 09:30 ... 17:00, each as likely."""

SPEED_EDGES_MINUTES: Final = (5.0, 60.0, 1440.0)
SPEED_FACTOR: Final = np.array([1.9, 1.3, 0.8, 0.45])
SCORE_STEP: Final = 0.1
SCORE_LIMIT: Final = 1.6
_LEAD_SHARES: Final = np.array([0.0, 0.25, 0.25, 0.2, 0.15, 0.1, 0.05])  # BOOKED_1 .. BOOKED_7


@dataclass(frozen=True)
class Classes:
    """Transition probabilities of every class of contacts.

    Attributes:
        stay: ``[class, from, to]`` between the transient states.
        convert: ``[class, state]`` probability of converting during a day in that state.
        lose: ``[class, state]`` probability of being lost during such a day.
        steps: ``[class, state, to]`` cumulative probabilities of tomorrow's state.
    """

    stay: Floats
    convert: Floats
    lose: Floats
    steps: Floats


def class_of(score: Floats, speed: Ints) -> tuple[Ints, Floats, Ints]:
    """Groups contacts by (score on a grid, speed).

    Returns:
        The class of each contact, and the score and speed of each class.
    """
    grid = np.rint(np.clip(score, -SCORE_LIMIT, SCORE_LIMIT) / SCORE_STEP).astype(np.int64)
    code = grid * len(SPEED_FACTOR) + speed
    present, index = np.unique(code, return_inverse=True)
    return (
        index.astype(np.int64),
        np.floor_divide(present, len(SPEED_FACTOR)) * SCORE_STEP,
        np.mod(present, len(SPEED_FACTOR)),
    )


def build_classes(score: Floats, speed: Ints) -> Classes:
    """The chains of classes with these scores (log multipliers) and speeds to lead."""
    up = np.exp(score)
    count = len(score)
    stay = np.zeros((count, TRANSIENT, TRANSIENT))
    convert = np.zeros((count, TRANSIENT))
    lose = np.zeros((count, TRANSIENT))

    def book(state: int, rate: Floats) -> None:
        for k, share in enumerate(_LEAD_SHARES):
            stay[:, state, BOOKED_1 + k] = rate * share

    stay[:, NEW, ACTIVE] = 0.085 * np.sqrt(up) * SPEED_FACTOR[speed]
    stay[:, NEW, HOT] = 0.01 * up
    stay[:, NEW, DORMANT] = 0.15
    # Nobody is given up on the day they come in, so the new are not lost straight away.

    stay[:, ACTIVE, HOT] = 0.011 * up
    stay[:, ACTIVE, COOLING] = 0.011
    convert[:, ACTIVE] = 0.0015 * up

    book(HOT, 0.014 * np.sqrt(up))
    stay[:, HOT, COOLING] = 0.005
    convert[:, HOT] = 0.0025 * up

    stay[:, COOLING, ACTIVE] = 0.03 * np.sqrt(up)
    stay[:, COOLING, DORMANT] = 0.1
    lose[:, COOLING] = 0.004

    stay[:, DORMANT, ACTIVE] = 0.0030 * np.sqrt(up)
    stay[:, DORMANT, HOT] = 0.0006 * np.sqrt(up)
    lose[:, DORMANT] = 0.0034

    for k in range(1, LONGEST_LEAD):
        cancel = 0.03 if k >= 2 else 0.0  # the day before is too late to cancel
        stay[:, BOOKED_1 + k, BOOKED_1 + k - 1] = 1 - cancel
        stay[:, BOOKED_1 + k, COOLING] = cancel
    convert[:, BOOKED_1] = 0.74
    stay[:, BOOKED_1, HOT] = 0.08
    stay[:, BOOKED_1, COOLING] = 0.18

    for state in (NEW, ACTIVE, HOT, COOLING, DORMANT):
        leaving = stay[:, state].sum(axis=1) + convert[:, state] + lose[:, state]
        stay[:, state, state] = 1 - leaving

    every = np.concatenate([stay, convert[:, :, None], lose[:, :, None]], axis=2)
    if every.min() < 0:
        raise ArithmeticError("a class of contacts leaves a state with probability above one")
    return Classes(stay, convert, lose, np.cumsum(every, axis=2))


def daily_conversions(classes: Classes, days: int = HORIZON_DAYS) -> Floats:
    """``[day, class, state]``: probability of converting exactly ``day`` days from now.

    Exact: each day is one more multiplication with the class's transition matrix.
    """
    result = np.empty((days + 1, *classes.convert.shape))
    result[0] = classes.convert
    for day in range(1, days + 1):
        result[day] = np.matmul(classes.stay, result[day - 1][:, :, None])[:, :, 0]
    return result


def simulate(
    classes: Classes,
    class_index: Ints,
    arrival_day: Ints,
    days: int,
    rng: np.random.Generator,
) -> Ints:
    """Draws the path of every contact.

    Returns:
        ``[day, contact]`` state during that day; ``CONVERTED`` or ``LOST`` from the day after
        the one on which it happens; ``NOT_HERE`` before the arrival.
    """
    paths = np.full((days + 1, len(class_index)), NOT_HERE, dtype=np.int8)
    state = np.full(len(class_index), NOT_HERE, dtype=np.int64)
    for day in range(days):
        state[arrival_day == day] = NEW
        paths[day] = state
        moving = np.flatnonzero((state >= 0) & (state < TRANSIENT))
        steps = classes.steps[class_index[moving], state[moving]]
        draw = rng.random(len(moving))
        state[moving] = np.minimum((draw[:, None] >= steps).sum(axis=1), LOST)
    paths[days] = state
    return paths
