"""The decision about one candidate: a pure function of what is known, so it can be proved."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence as Ordered
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from functools import lru_cache
from zoneinfo import ZoneInfo

from activation.hours import Schedule, is_allowed, next_allowed
from activation.places import Whereabouts, whereabouts
from activation.rulebook import FrequencyCap, RuleBook
from activation.types import Candidate, Channel, ChannelState, Decision, Reason, Verdict

_SENTENCES: dict[Reason, str] = {
    Reason.HOLDOUT: "Held out on purpose: the group the batch is measured against.",
    Reason.DUPLICATE_PERSON: "The same person is another lead, which is the one to be written to.",
    Reason.ALREADY_SENT: "This step of the sequence went to this lead before.",
    Reason.LEAD_CLOSED: "The lead is no longer open.",
}
_CHANNEL_SENTENCES: dict[Reason, str] = {
    Reason.DND: "Do-not-disturb is set in the CRM for {channel}.",
    Reason.OPTED_OUT: "The newest word for {channel} is an opt-out{when}.",
    Reason.SUPPRESSED_ADDRESS: "The {address} is on the suppression list.",
    Reason.DO_NOT_CALL: "The {address} is on a do-not-call list{which}.",
    Reason.NO_CONSENT: "No recorded consent for {channel}.",
    Reason.INVALID_PHONE: "No phone number that can take a text.",
    Reason.LANDLINE: "The phone number is a {line} line, which takes no texts.",
    Reason.INVALID_EMAIL: "No email address that can take mail.",
    Reason.NO_SENDER: "The location has no sender for {channel}.",
}
_UNKNOWN = ChannelState(None, is_valid=False)
# Where no channel is open, the weightiest of the channels' reasons is the lead's.
_WEIGHT = {reason: weight for weight, reason in enumerate(Reason)}


@dataclass(slots=True)
class DecisionContext:
    """What is the same for all candidates of a plan.

    Args:
        as_of: the moment of the decision, aware.
        channels: allowed ones, preferred first.
        rules: the rule book.
        sequence: id of the sequence, which also names the holdout.
        holdout_share: share held out.
        senders: locations and channels that can send at all; None for "all can".
    """

    as_of: datetime
    channels: Ordered[Channel]
    rules: RuleBook
    sequence: str
    holdout_share: float
    senders: frozenset[tuple[str, Channel]] | None = None
    rules_of: dict[Channel, _ChannelRules] = field(init=False)
    openings: dict[tuple[Channel, Whereabouts], _Opening] = field(init=False, repr=False)
    """When each place opens, from ``as_of`` on: many candidates share few places."""

    def __post_init__(self) -> None:
        day = self.as_of.date()
        self.rules_of = {
            channel: _channel_rules(self.rules, channel, day) for channel in self.channels
        }
        self.openings = {}


@dataclass(frozen=True, slots=True)
class _Opening:
    """When a text may arrive at a place; ``at`` is None for never, ``sentence`` for at once."""

    at: datetime | None
    sentence: str | None = None


class _ChannelRules:
    """What the rules say of one channel on one day, looked up once."""

    def __init__(self, rules: RuleBook, channel: Channel, day: date) -> None:
        at = datetime(day.year, day.month, day.day, tzinfo=UTC)
        self._rules, self._channel, self._at = rules, channel, at
        self._of_states: dict[tuple[str, ...], tuple[Schedule | None, list[FrequencyCap]]] = {}
        self.needs_consent = rules.needs_consent(channel, at)
        self.barred_lines = rules.barred_lines(channel, at)
        self.barred_lists = {
            consent: rules.barred_lists(channel, at, has_consent=consent)
            for consent in (True, False)
        }

    def of(self, states: tuple[str, ...]) -> tuple[Schedule | None, list[FrequencyCap]]:
        """Hours and caps for a person who may be in any of some states."""
        found = self._of_states.get(states)
        if found is None:
            found = (
                self._rules.schedule(self._channel, states),
                self._rules.caps(self._channel, self._at, states),
            )
            self._of_states[states] = found
        return found


@lru_cache(maxsize=256)
def _channel_rules(rules: RuleBook, channel: Channel, day: date) -> _ChannelRules:
    return _ChannelRules(rules, channel, day)


def is_held_out(lead_id: str, campaign: str, share: float) -> bool:
    """Whether a lead is in a campaign's holdout: the same answer every time it is asked."""
    digest = hashlib.sha256(f"{lead_id}|{campaign}".encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64 < share


def decide(candidate: Candidate, context: DecisionContext) -> Decision:
    """Exactly one decision: send (now or at the next allowed time), hold out, or suppress.

    The first that applies, in this order: closed lead, duplicate person, already sent, no open
    channel, frequency cap, holdout, quiet hours.
    """
    if not candidate.is_open:
        return _suppress(Reason.LEAD_CLOSED)
    if candidate.duplicate_of is not None:
        return _suppress(Reason.DUPLICATE_PERSON)
    if candidate.already_sent:
        return _suppress(Reason.ALREADY_SENT)
    chosen: Channel | None = None
    blocks: list[tuple[Reason, Channel]] = []
    for channel in context.channels:
        reason = channel_block(candidate, channel, context)
        if reason is None:
            chosen = channel
            break
        blocks.append((reason, channel))
    if chosen is None:
        reason, channel = min(blocks, key=lambda block: _WEIGHT[block[0]])
        return _suppress(reason, _channel_sentence(reason, channel, candidate))
    place = _place(candidate)
    schedule, caps = context.rules_of[chosen].of(place.states)
    capped = _capped(candidate, caps, context.as_of)
    if capped is not None:
        return _suppress(Reason.FREQUENCY_CAP, capped)
    if is_held_out(candidate.lead_id, context.sequence, context.holdout_share):
        return Decision(Verdict.HOLDOUT, Reason.HOLDOUT, _SENTENCES[Reason.HOLDOUT], chosen)
    return _send(candidate, chosen, context, place, schedule)


def channel_block(
    candidate: Candidate, channel: Channel, context: DecisionContext
) -> Reason | None:
    """Why a channel is closed for a candidate; None if it is open."""
    state = candidate.channels.get(channel, _UNKNOWN)
    rules = context.rules_of[channel]
    granted = state.consent is not None and state.consent.action == "granted"
    if state.is_dnd:
        return Reason.DND
    if state.address_opted_out or (state.consent and state.consent.action == "revoked"):
        return Reason.OPTED_OUT
    if state.is_suppressed:
        return Reason.SUPPRESSED_ADDRESS
    if state.do_not_call and not rules.barred_lists[granted].isdisjoint(state.do_not_call):
        return Reason.DO_NOT_CALL
    if rules.needs_consent and not granted:
        return Reason.NO_CONSENT
    if not state.is_valid or not state.address:
        return Reason.INVALID_PHONE if channel is Channel.SMS else Reason.INVALID_EMAIL
    if state.line_type in rules.barred_lines:
        return Reason.LANDLINE
    if context.senders is not None and (candidate.location_id, channel) not in context.senders:
        return Reason.NO_SENDER
    return None


def _place(candidate: Candidate) -> Whereabouts:
    phone = candidate.channels.get(Channel.SMS, _UNKNOWN).address
    return whereabouts(candidate.timezone, candidate.state, phone)


def _capped(candidate: Candidate, caps: Ordered[FrequencyCap], as_of: datetime) -> str | None:
    if not candidate.recent_sends:
        return None
    for cap in caps:
        since = as_of - cap.within
        count = sum(1 for at in candidate.recent_sends if at > since)
        if count >= cap.messages:
            hours = int(cap.within.total_seconds() // 3600)
            return (
                f"{count} automated message{'s' if count != 1 else ''} in the last {hours} hours;"
                f" the cap is {cap.messages} ({cap.rule_id})."
            )
    return None


def _send(
    candidate: Candidate,
    channel: Channel,
    context: DecisionContext,
    place: Whereabouts,
    schedule: Schedule | None,
) -> Decision:
    address = candidate.channels[channel].address
    if schedule is not None:
        opening = context.openings.get((channel, place))
        if opening is None:
            opening = _opening(context.as_of, place, schedule)
            context.openings[channel, place] = opening
        if opening.at is None:
            return _suppress(Reason.QUIET_HOURS, opening.sentence)
        if opening.sentence is not None:
            return Decision(
                Verdict.SEND, Reason.QUIET_HOURS, opening.sentence, channel, address, opening.at
            )
    return Decision(Verdict.SEND, Reason.SEND_NOW, _CLEAR[channel], channel, address)


def _opening(as_of: datetime, place: Whereabouts, schedule: Schedule) -> _Opening:
    at = next_allowed(as_of, place.zones, schedule)
    if at is None:
        return _Opening(None, "No hour of the next two weeks is right wherever it may be.")
    if at == as_of:
        return _Opening(at)
    zone = next(name for name in place.zones if not is_allowed(as_of, (name,), schedule))
    tz = ZoneInfo(zone)
    rules = ", ".join(schedule.binding(as_of.astimezone(tz).date()))
    local = at.astimezone(tz)
    return _Opening(
        at, f"Quiet hours now; waits until {local:%a %H:%M} local time ({zone}; {rules})."
    )


def _suppress(reason: Reason, sentence: str | None = None) -> Decision:
    return Decision(Verdict.SUPPRESS, reason, sentence or _SENTENCES[reason])


def _channel_sentence(reason: Reason, channel: Channel, candidate: Candidate) -> str:
    state = candidate.channels.get(channel)
    consent = state.consent if state else None
    when = f" of {consent.occurred_at:%Y-%m-%d}" if consent and reason is Reason.OPTED_OUT else ""
    lists = ", ".join(state.do_not_call) if state else ""
    return _CHANNEL_SENTENCES[reason].format(
        channel=_word(channel),
        which=f" ({lists})" if lists else "",
        line=state.line_type if state else "",
        when=when,
        address="phone number" if channel is Channel.SMS else "email address",
    )


def _word(channel: Channel) -> str:
    return "texts" if channel is Channel.SMS else "email"


_CLEAR = {
    channel: f"Consent for {_word(channel)} on record, nothing against it." for channel in Channel
}
