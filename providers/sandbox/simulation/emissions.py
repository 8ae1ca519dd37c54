"""What the hidden state lets be seen: messages, calls, opens and clicks, as columns.

Each day every open contact may emit events with probabilities that depend on its state. A
contact that becomes engaged almost always says so on the first day, and agents answer with the
delay that is theirs, so that the state can be told well, though never perfectly, from the events.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from providers.sandbox.simulation import chain, world
from providers.sandbox.simulation.chain import Floats, Ints
from providers.sandbox.simulation.people import CLOSE_MINUTE, OPEN_MINUTE, People
from providers.sandbox.simulation.signals import (
    ALERT,
    ANSWER,
    ANSWERED,
    ANSWERS,
    CALL,
    CHASE,
    CHAT,
    CLICKED,
    CLICKS,
    CLIENT,
    DELIVERED,
    DRIP,
    EMAIL,
    ENTRY,
    ENTRY_SAID,
    FAILED,
    FIRST_TOUCH,
    HABIT_WINDOWS,
    INBOUND,
    INQUIRY,
    OPENED,
    OPENS,
    OUTBOUND,
    PUSH_RATES,
    PUSHES,
    REFUSED,
    RHYTHM,
    SIGNAL_MIX,
    SIGNALS,
    SMS,
    STOP,
    STOPS,
    TALK,
    TALK_SECONDS,
    THANKS,
    UNSAID_GAP,
    UNSUBSCRIBES,
    VOICEMAIL,
    Events,
    OptOuts,
)
from providers.sandbox.simulation.timeline import DAY, HOUR, MINUTE, Bools, Calendar, stream


@dataclass
class _Draft:
    person: list[Ints]
    at_ms: list[Ints]
    channel: list[Ints]
    direction: list[Ints]
    topic: list[Ints]
    group: list[Ints]

    def add(
        self, person: Ints, at_ms: Ints, channel: Ints, direction: int, topic: int, group: Ints
    ) -> None:
        self.person.append(person)
        self.at_ms.append(at_ms)
        self.channel.append(channel)
        self.direction.append(np.full(len(person), direction))
        self.topic.append(np.full(len(person), topic))
        self.group.append(group)


def group_of(state: Ints) -> Ints:
    """The group of a transient state: all days of being booked are one."""
    return np.minimum(state, chain.BOOKED_1)


def emit(seed: int, calendar: Calendar, people: People, paths: Ints) -> tuple[Events, OptOuts]:
    """All messages and calls of everybody, opt-outs respected."""
    rng = stream(seed, "events")
    draft = _Draft([], [], [], [], [], [])
    _inquiries(rng, people, draft)
    _daily(rng, calendar, people, paths, draft)
    _after_conversion(rng, calendar, people, paths, draft)
    _answers(rng, calendar, people, draft)
    columns = [
        np.concatenate(column)
        for column in (
            draft.person,
            draft.at_ms,
            draft.channel,
            draft.direction,
            draft.topic,
            draft.group,
        )
    ]
    return _settle(rng, calendar, people, columns)


def _inquiries(rng: np.random.Generator, people: People, draft: _Draft) -> None:
    """The message many people come in with, and the first answer of a human."""
    everyone = np.arange(len(people))
    new = np.zeros(len(people), dtype=np.int64)
    wrote = everyone[rng.random(len(people)) < 0.4]
    channel = np.where(rng.random(len(wrote)) < 0.6, SMS, EMAIL)
    draft.add(wrote, people.created_ms[wrote] + 2_000, channel, INBOUND, INQUIRY, new[wrote])
    channel = np.where(rng.random(len(people)) < 0.62, SMS, CALL)
    draft.add(everyone, people.response_ms, channel, OUTBOUND, FIRST_TOUCH, new)


def _daily(
    rng: np.random.Generator, calendar: Calendar, people: People, paths: Ints, draft: _Draft
) -> None:
    gap = np.zeros(len(people), dtype=np.int64)
    found: dict[str, list[tuple[Ints, Ints, Ints, Ints]]] = {"signal": [], "push": [], "entry": []}
    for day in range(1, calendar.days):
        state, before = paths[day].astype(np.int64), paths[day - 1].astype(np.int64)
        here = np.flatnonzero((state >= 0) & (state < chain.TRANSIENT) & (before >= 0))
        group = group_of(state[here])
        gap[here] += 1

        entering = _entering(state[here], before[here])
        says = entering & (rng.random(len(here)) < ENTRY_SAID)
        gap[here[entering & ~says]] = UNSAID_GAP
        chance = RHYTHM[group, np.minimum(gap[here], RHYTHM.shape[1]) - 1]
        signals = ~entering & (rng.random(len(here)) < chance)
        gap[here[says | signals]] = 0

        which = _pick(rng, SIGNAL_MIX[group[signals]])
        row, push = np.nonzero(rng.random((len(here), len(PUSHES))) < PUSH_RATES[group])
        for name, index, kind in (
            ("signal", np.flatnonzero(signals), which),
            ("push", row, push),
            ("entry", np.flatnonzero(says), np.zeros(int(says.sum()), dtype=np.int64)),
        ):
            found[name].append((here[index], np.full(len(index), day), kind, group[index]))

    for name, kinds in (("signal", SIGNALS), ("push", PUSHES), ("entry", None)):
        person, day_, kind, group = (np.concatenate(x) for x in zip(*found[name], strict=True))
        if kinds is None:
            channel = np.where(rng.random(len(person)) < 0.75, SMS, EMAIL)
            called = (group == chain.HOT) & (rng.random(len(person)) < 0.9)
            times = _times(rng, calendar, people, person, day_, INBOUND, ENTRY)
            draft.add(person, times, np.where(called, CALL, channel), INBOUND, ENTRY, group)
            continue
        for k, (on, way, topic) in enumerate(kinds):
            at = kind == k
            if name == "push":  # nobody follows up before the first answer
                at &= day_ > people.response_day[person]
            times = _times(rng, calendar, people, person[at], day_[at], way, topic)
            draft.add(person[at], times, np.full(len(times), on), way, topic, group[at])


def _entering(state: Ints, before: Ints) -> Bools:
    """Who becomes active or hot today, other than after an appointment missed."""
    warmer = (state == chain.ACTIVE) | (state == chain.HOT)
    changed = (state != before) & (before < chain.BOOKED_1)
    result: Bools = warmer & changed
    return result


def _pick(rng: np.random.Generator, shares: Floats) -> Ints:
    """A column of each row, drawn with the row's shares."""
    draw = rng.random(len(shares))[:, None]
    picked: Ints = (draw >= np.cumsum(shares, axis=1)).sum(axis=1)
    capped: Ints = np.minimum(picked, shares.shape[1] - 1)
    return capped


def _times(
    rng: np.random.Generator,
    calendar: Calendar,
    people: People,
    person: Ints,
    day: Ints,
    direction: int,
    topic: int,
) -> Ints:
    """An instant on each person's local day, by their habit or by that of who writes."""
    count = len(person)
    if direction == INBOUND or topic == TALK:
        window = np.array(HABIT_WINDOWS)[people.habit[person]]
        habitual = window[:, 0] + rng.random(count) * (window[:, 1] - window[:, 0])
        anyhow = 8 * 60 + rng.random(count) * 13 * 60
        minute = np.where(rng.random(count) < 0.75, habitual, anyhow)
    elif topic in (DRIP, ALERT):
        minute = 9 * 60 + rng.random(count) * 120
    else:
        minute = 9 * 60 + rng.random(count) * 10 * 60
    return calendar.utc_ms(people.zone[person], day, (minute * MINUTE).astype(np.int64))


def _after_conversion(
    rng: np.random.Generator, calendar: Calendar, people: People, paths: Ints, draft: _Draft
) -> None:
    """Clients go on writing for a few days."""
    ended = paths[-1] == chain.CONVERTED
    person = np.flatnonzero(ended)
    first = np.argmax(paths[:, person] == chain.CONVERTED, axis=0)
    for way in (OUTBOUND, INBOUND):
        some = rng.random(len(person)) < 0.6
        who, day = person[some], first[some] + rng.integers(0, 4, int(some.sum()))
        channel = np.where(rng.random(len(who)) < 0.5, SMS, EMAIL)
        times = _times(rng, calendar, people, who, day, way, THANKS)
        draft.add(who, times, channel, way, THANKS, np.full(len(who), CLIENT))


def _answers(rng: np.random.Generator, calendar: Calendar, people: People, draft: _Draft) -> None:
    """Agents answer some of what comes in, each with their own delay, in office hours."""
    inbound = [i for i, way in enumerate(draft.direction) if len(way) and way[0] == INBOUND]
    person, at, channel, topic, group = (
        np.concatenate([column[i] for i in inbound])
        for column in (draft.person, draft.at_ms, draft.channel, draft.topic, draft.group)
    )
    median = np.array([a.reply_minutes for a in world.AGENTS])[people.agent[person]]
    share = 0.52 - 0.1 * np.log10(median)  # the slow forget more, too
    answered = (rng.random(len(person)) < share) & (channel != CALL)
    answered &= (topic != INQUIRY) & (topic != THANKS)
    person, at, channel, group, median = (x[answered] for x in (person, at, channel, group, median))
    delay = np.exp(np.log(median + 2.0) + 0.9 * rng.standard_normal(len(person)))
    reply = at + (np.minimum(delay, 2 * 1440) * MINUTE).astype(np.int64)
    minute = calendar.local_minute(people.zone[person], reply)
    closed = (minute < OPEN_MINUTE) | (minute >= CLOSE_MINUTE)
    wait = np.where(minute < OPEN_MINUTE, OPEN_MINUTE - minute, 1440 + OPEN_MINUTE - minute)
    early = wait * MINUTE + (rng.random(len(person)) * 2 * HOUR).astype(np.int64)
    reply = np.where(closed, reply + early, reply)
    draft.add(person, reply, channel, OUTBOUND, ANSWER, group)


def _settle(
    rng: np.random.Generator, calendar: Calendar, people: People, columns: list[Ints]
) -> tuple[Events, OptOuts]:
    """Puts each event on a channel that reaches the person, and decides how it went."""
    person, at, channel, direction, topic, group = columns
    # Who cannot be called shows the same interest by clicking, and who cannot be mailed by calling.
    no_call = ~people.can_call[person] & (channel == CALL) & (topic != CHASE)
    no_mail = ~people.can_mail[person] & (topic == ALERT)
    to_click, to_talk = no_call & people.can_mail[person], no_mail & people.can_call[person]
    to_write = (no_call & ~to_click) | (no_mail & ~to_talk)
    channel = np.where(to_click, EMAIL, np.where(to_talk, CALL, channel))
    direction = np.where(to_click | to_talk, OUTBOUND, np.where(to_write, INBOUND, direction))
    topic = np.where(to_click, ALERT, np.where(to_talk, TALK, np.where(to_write, CHAT, topic)))
    text, call, mail = people.can_text[person], people.can_call[person], people.can_mail[person]
    text = text | ((direction == INBOUND) & call)  # who refused marketing may still write
    mail = mail | ((direction == INBOUND) & (people.email_kind[person] == 1))

    sms_stop = _first_opt_out(rng, people, person, at, group, direction, channel == SMS, STOPS)
    email_stop = _first_opt_out(
        rng, people, person, at, group, direction, channel == EMAIL, UNSUBSCRIBES
    )
    sms_stop[~people.can_text] = -1
    email_stop[~people.can_mail] = -1
    text &= (sms_stop[person] < 0) | (at <= sms_stop[person])
    mail &= (email_stop[person] < 0) | (at <= email_stop[person])

    # One channel's loss is another's gain; where none is left, nothing happens.
    wants = channel.copy()
    channel = np.where((wants == SMS) & ~text, np.where(mail, EMAIL, CALL), channel)
    channel = np.where((wants == EMAIL) & ~mail, np.where(text, SMS, CALL), channel)
    channel = np.where((wants == CALL) & ~call, np.where(mail, EMAIL, SMS), channel)
    works = np.choose(channel, [text, call, mail])
    robot = (topic == DRIP) & (channel != wants)  # a drip does not change its channel
    # A blast that forgot to look: the provider refuses it.
    refused = (wants == SMS) & (topic == DRIP) & (sms_stop[person] >= 0) & (at > sms_stop[person])
    refused &= rng.random(len(person)) < 0.15
    channel = np.where(refused, SMS, channel)
    keep = ((works & ~robot) | refused) & (at < calendar.end_ms + DAY)
    person, at, channel, direction, topic, group, refused = (
        x[keep] for x in (person, at, channel, direction, topic, group, refused)
    )

    stopped = np.flatnonzero(sms_stop >= 0)
    person = np.concatenate([person, stopped])
    at = np.concatenate([at, sms_stop[stopped]])
    channel = np.concatenate([channel, np.full(len(stopped), SMS)])
    direction = np.concatenate([direction, np.full(len(stopped), INBOUND)])
    topic = np.concatenate([topic, np.full(len(stopped), STOP)])
    group = np.concatenate([group, np.full(len(stopped), chain.DORMANT)])
    refused = np.concatenate([refused, np.zeros(len(stopped), dtype=np.bool_)])

    status, status_ms = _statuses(rng, at, channel, direction, topic, group, refused)
    result, seconds = _calls(rng, calendar, people, person, at, channel, direction, topic, group)
    events = Events(
        person, at, channel, direction, topic, group, status, status_ms, result, seconds
    )
    return events, OptOuts(sms_stop, email_stop)


def _first_opt_out(
    rng: np.random.Generator,
    people: People,
    person: Ints,
    at: Ints,
    group: Ints,
    direction: Ints,
    on_channel: Bools,
    rates: Floats,
) -> Ints:
    """For each person the instant of the first opt-out from a channel, or -1."""
    hit = on_channel & (direction == OUTBOUND) & (rng.random(len(person)) < rates[group])
    index = np.flatnonzero(hit)
    delay = (1 + rng.random(len(index)) * 90) * MINUTE
    first = np.full(len(people), np.iinfo(np.int64).max)
    np.minimum.at(first, person[index], at[index] + delay.astype(np.int64))
    return np.where(first == np.iinfo(np.int64).max, -1, first)


def _statuses(
    rng: np.random.Generator,
    at: Ints,
    channel: Ints,
    direction: Ints,
    topic: Ints,
    group: Ints,
    refused: Bools,
) -> tuple[Ints, Ints]:
    count = len(at)
    outbound = direction == OUTBOUND
    status = np.full(count, DELIVERED)
    mail = outbound & (channel == EMAIL)
    alert = mail & (topic == ALERT)
    opened = alert | (mail & (rng.random(count) < OPENS[group]))
    clicked = alert | (opened & (rng.random(count) < CLICKS[group]))
    delay = np.exp(np.log(70.0) + 1.1 * rng.standard_normal(count))
    opened_ms = at + (np.clip(delay, 0.5, 20 * 60) * MINUTE).astype(np.int64)
    status = np.where(opened, OPENED, status)
    status = np.where(clicked, CLICKED, status)
    failed = outbound & (channel != CALL) & (status == DELIVERED) & (rng.random(count) < 0.012)
    status = np.where(failed, FAILED, status)
    status = np.where(refused, REFUSED, status)
    return status, np.where(status == OPENED, opened_ms, np.where(clicked, opened_ms + 40_000, at))


def _calls(
    rng: np.random.Generator,
    calendar: Calendar,
    people: People,
    person: Ints,
    at: Ints,
    channel: Ints,
    direction: Ints,
    topic: Ints,
    group: Ints,
) -> tuple[Ints, Ints]:
    count = len(person)
    minute = calendar.local_minute(people.zone[person], at)
    window = np.array(HABIT_WINDOWS)[people.habit[person]]
    habitual = (minute >= window[:, 0]) & (minute < window[:, 1])
    chance = np.minimum(ANSWERS[group] * np.where(habitual, 1.25, 0.92), 0.97)
    chance = np.where(direction == INBOUND, 0.86, chance)  # how often the office picks up
    chance = np.where(topic == TALK, 1.0, chance)
    missed = rng.choice(3, size=count, p=[0.45, 0.47, 0.08])
    result = np.where(rng.random(count) < chance, ANSWERED, missed)
    talk = np.exp(np.log(TALK_SECONDS[group]) + 0.5 * rng.standard_normal(count))
    seconds = np.where(result == ANSWERED, np.clip(talk, 15, 1800), 0)
    seconds = np.where(result == VOICEMAIL, 12 + 25 * rng.random(count), seconds)
    seconds = np.where(channel == CALL, seconds, 0).astype(np.int64)
    return np.where(channel == CALL, result, 0), seconds
