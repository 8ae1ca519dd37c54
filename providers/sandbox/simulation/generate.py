"""Puts the parts of the simulation together."""

from __future__ import annotations

import datetime as dt
import math

from leadengine.errors import LeadEngineError
from leadengine.memory import collector_paused
from providers.sandbox.simulation import chain, dirt, world
from providers.sandbox.simulation.contacts import dnd_changes, write_contacts
from providers.sandbox.simulation.conversations import write_conversations
from providers.sandbox.simulation.deals import (
    won_after,
    write_appointments,
    write_opportunities,
    write_tasks,
)
from providers.sandbox.simulation.emissions import emit
from providers.sandbox.simulation.log import Log, make_cast
from providers.sandbox.simulation.model import Brokerage
from providers.sandbox.simulation.outcomes import read_outcomes
from providers.sandbox.simulation.people import make_people
from providers.sandbox.simulation.timeline import DAYS_AHEAD, Calendar, stream
from providers.sandbox.simulation.truth import HiddenTruth

MIN_CONTACTS, MAX_CONTACTS = 20, 100_000


def generate(seed: int, contacts: int, anchor: dt.date) -> Brokerage:
    """Generates a brokerage with 18 months of history before, and 14 days after, the anchor.

    The same arguments give the same bytes, in any process (see :meth:`Brokerage.digest`).

    Args:
        seed: not negative.
        contacts: contact records that have come in by midnight UTC of ``anchor``, duplicates
            and the later deleted included; more come in afterwards, at the same pace.
        anchor: the day history ends.

    Raises:
        LeadEngineError: an argument is outside of what can be simulated.
    """
    if seed < 0:
        raise LeadEngineError(
            f"The simulation's seed is {seed}", remedy="Choose a seed of 0 or more."
        )
    if not MIN_CONTACTS <= contacts <= MAX_CONTACTS:
        raise LeadEngineError(
            f"A simulated brokerage of {contacts} contacts is not possible",
            remedy=f"Choose between {MIN_CONTACTS} and {MAX_CONTACTS} contacts.",
        )
    # A million new dictionaries and not one cycle: searching them for some costs half the time.
    with collector_paused():
        return _generate(seed, contacts, anchor)


def _generate(seed: int, contacts: int, anchor: dt.date) -> Brokerage:
    calendar = Calendar.around(anchor)
    duplicates = dirt.duplicate_count(contacts)
    later = math.ceil(contacts * DAYS_AHEAD / calendar.history_days)
    people = make_people(seed, calendar, contacts - duplicates + later, later)
    class_index, score, speed = chain.class_of(people.score, people.speed)
    classes = chain.build_classes(score, speed)
    paths = chain.simulate(
        classes, class_index, people.arrival_day, calendar.days, stream(seed, "chain")
    )
    bookings, endings = read_outcomes(seed, calendar, people, paths)
    events, opt_outs = emit(seed, calendar, people, paths)

    cast = make_cast(seed, calendar, people)
    log = Log(calendar)
    won_ms = won_after(cast, endings)
    changes = dnd_changes(cast, opt_outs, endings, won_ms)
    first_records = dirt.write_duplicates(cast, paths, opt_outs, duplicates, log, changes)
    write_contacts(cast, log, changes)
    write_opportunities(cast, paths, bookings, endings, won_ms, log)
    write_appointments(cast, bookings, log)
    write_tasks(cast, paths, bookings, endings, log)
    write_conversations(cast, events, log)
    dirt.write_deletions(cast, endings, log)
    broken = dirt.write_broken(cast, log)

    return Brokerage(
        seed=seed,
        contacts=contacts,
        anchor=anchor,
        locations=world.locations(),
        users=world.users(),
        pipelines=world.pipelines(),
        calendars=world.calendars(),
        workflows=world.workflows(),
        custom_fields=world.custom_fields(),
        records=log.records(),
        broken=broken,
        truth=HiddenTruth(
            calendar=calendar,
            contact_ids=cast.contact_ids,
            people=people,
            endings=endings,
            paths=paths,
            class_index=class_index,
            daily=chain.daily_conversions(classes),
            losing=classes.lose,
            first_records=first_records,
        ),
    )
