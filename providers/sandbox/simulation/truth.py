"""The exact probabilities behind the simulation."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

import numpy as np

from leadengine.errors import LeadEngineError
from providers.sandbox.simulation import chain
from providers.sandbox.simulation.chain import Floats, Ints
from providers.sandbox.simulation.outcomes import Endings, slot_ms
from providers.sandbox.simulation.people import People
from providers.sandbox.simulation.timeline import Bools, Calendar, to_datetime, to_ms


@dataclass(frozen=True)
class HiddenTruth:
    """What no loader ever sees.

    Only a person's first contact record has an entry: a duplicate is nobody of its own.
    """

    calendar: Calendar
    contact_ids: list[str]
    people: People
    endings: Endings
    paths: Ints
    class_index: Ints
    daily: Floats
    losing: Floats
    first_records: dict[str, str]

    def propensities(self, as_of: dt.datetime) -> dict[str, float]:
        """Probability of the label for every contact that is known and open at ``as_of``.

        The label is an appointment kept or an opportunity won in ``(as_of, as_of + 60 days]``;
        the probability is conditional on the hidden state at ``as_of`` and on the contact not
        having converted or been lost before. Contacts that have are left out, and so are those
        that came in later. Exact: powers of the transition matrix, with the day of ``as_of``
        divided by the office's hours.

        Raises:
            LeadEngineError: ``as_of`` is naive or outside of the simulated period.
        """
        day, open_ = self._open_at(as_of)
        classes, states = self.class_index[open_], self.paths[day, open_].astype(np.int64)
        today = self.daily[0, classes, states]
        between = self.daily[1 : chain.HORIZON_DAYS, classes, states].sum(axis=0)
        last = self.daily[chain.HORIZON_DAYS, classes, states]
        gone = self._share_of_slots_gone(day, to_ms(as_of))[self.people.office[open_]]
        still_open = 1 - (today + self.losing[classes, states]) * gone
        result = (today * (1 - gone) + between + last * gone) / still_open
        return {
            self.contact_ids[i]: p for i, p in zip(open_.tolist(), result.tolist(), strict=True)
        }

    def states(self, as_of: dt.datetime) -> dict[str, str]:
        """Name of the hidden state of every contact that is known and open at ``as_of``.

        Raises:
            LeadEngineError: as :meth:`propensities`.
        """
        day, open_ = self._open_at(as_of)
        return {
            self.contact_ids[i]: chain.STATE_NAMES[state]
            for i, state in zip(open_.tolist(), self.paths[day, open_].tolist(), strict=True)
        }

    def conversions(self) -> dict[str, dt.datetime]:
        """When each contact that converts within the simulated period does so (UTC)."""
        return {
            self.contact_ids[i]: to_datetime(int(self.endings.closed_ms[i]))
            for i in np.flatnonzero(self.endings.converted).tolist()
        }

    def duplicates(self) -> dict[str, str]:
        """Each later contact record of a person who had one, with the id of the first."""
        return dict(self.first_records)

    def _open_at(self, as_of: dt.datetime) -> tuple[int, Ints]:
        if as_of.tzinfo is None:
            raise LeadEngineError(
                f"as_of {as_of.isoformat()} has no time zone", remedy="Give it one, such as +00:00."
            )
        at = to_ms(as_of)
        day = self.calendar.sim_day(at)
        if not 0 <= day < self.calendar.days:
            raise LeadEngineError(
                f"as_of {as_of.isoformat()} is outside of the simulated period",
                remedy=(
                    f"Choose an instant between {self.calendar.start.isoformat()}T08:00Z and "
                    f"{to_datetime(self.calendar.end_ms).isoformat()}."
                ),
            )
        state = self.paths[day]
        open_: Bools = (state >= 0) & (state < chain.TRANSIENT)
        open_ &= (self.people.created_ms <= at) & (self.endings.closed_ms > at)
        return day, np.flatnonzero(open_)

    def _share_of_slots_gone(self, day: int, at_ms: int) -> Floats:
        offices = np.unique(self.people.office)
        share = np.zeros(int(offices.max(initial=0)) + 1)
        slots = np.arange(chain.SLOTS)
        for office in offices.tolist():
            starts = slot_ms(
                self.calendar, np.full(chain.SLOTS, office), np.full(chain.SLOTS, day), slots
            )
            share[office] = float((starts <= at_ms).mean())
        return share
