"""The decision about one candidate: a pure function of what is known, so it can be proved."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence as Ordered
from dataclasses import dataclass, field, replace
from datetime import datetime, time
from zoneinfo import ZoneInfo

from activation.hours import next_allowed, recipient_zones
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
    Reason.NO_CONSENT: "No recorded consent for {channel}.",
    Reason.INVALID_PHONE: "No phone number that can take a text.",
    Reason.INVALID_EMAIL: "No email address that can take mail.",
    Reason.NO_SENDER: "The location has no sender for {channel}.",
}
# Where no channel is open, the weightiest of the channels' reasons is the lead's.
_WEIGHT = list(Reason)


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
    hours: dict[Channel, tuple[time, time] | None] = field(init=False)
    caps: dict[Channel, list[FrequencyCap]] = field(init=False)
    needs_consent: dict[Channel, bool] = field(init=False)

    def __post_init__(self) -> None:
        at = self.as_of
        self.hours = {channel: self.rules.hours(channel, at) for channel in self.channels}
        self.caps = {channel: self.rules.caps(channel, at) for channel in self.channels}
        self.needs_consent = {
            channel: self.rules.needs_consent(channel, at) for channel in self.channels
        }


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
        reason, channel = min(blocks, key=lambda block: _WEIGHT.index(block[0]))
        return _suppress(reason, _channel_sentence(reason, channel, candidate))
    capped = _capped(candidate, chosen, context)
    if capped is not None:
        return _suppress(Reason.FREQUENCY_CAP, capped)
    if is_held_out(candidate.lead_id, context.sequence, context.holdout_share):
        return Decision(Verdict.HOLDOUT, Reason.HOLDOUT, _SENTENCES[Reason.HOLDOUT], chosen)
    return _send(candidate, chosen, context)


def channel_block(
    candidate: Candidate, channel: Channel, context: DecisionContext
) -> Reason | None:
    """Why a channel is closed for a candidate; None if it is open."""
    state = candidate.channels.get(channel, ChannelState(None, is_valid=False))
    if state.is_dnd:
        return Reason.DND
    if state.address_opted_out or (state.consent and state.consent.action == "revoked"):
        return Reason.OPTED_OUT
    if state.is_suppressed:
        return Reason.SUPPRESSED_ADDRESS
    if context.needs_consent[channel] and (
        state.consent is None or state.consent.action != "granted"
    ):
        return Reason.NO_CONSENT
    if not state.is_valid or not state.address:
        return Reason.INVALID_PHONE if channel is Channel.SMS else Reason.INVALID_EMAIL
    if context.senders is not None and (candidate.location_id, channel) not in context.senders:
        return Reason.NO_SENDER
    return None


def _capped(candidate: Candidate, channel: Channel, context: DecisionContext) -> str | None:
    for cap in context.caps[channel]:
        since = context.as_of - cap.within
        count = sum(1 for at in candidate.recent_sends if at > since)
        if count >= cap.messages:
            hours = int(cap.within.total_seconds() // 3600)
            return (
                f"{count} automated message{'s' if count != 1 else ''} in the last {hours} hours;"
                f" the cap is {cap.messages}."
            )
    return None


def _send(candidate: Candidate, channel: Channel, context: DecisionContext) -> Decision:
    state = candidate.channels[channel]
    hours = context.hours[channel]
    now = Decision(
        Verdict.SEND,
        Reason.SEND_NOW,
        f"Consent for {_word(channel)} on record, nothing against it.",
        channel,
        state.address,
    )
    if hours is None:
        return now
    phone = candidate.channels.get(Channel.SMS)
    zones = recipient_zones(candidate.timezone, phone.address if phone else None)
    at = next_allowed(context.as_of, zones, hours)
    if at == context.as_of:
        return now
    if at is None:
        return _suppress(Reason.QUIET_HOURS, "No hour of the day is right in every zone it may be.")
    local = at.astimezone(ZoneInfo(zones[0]))
    return replace(
        now,
        reason=Reason.QUIET_HOURS,
        sentence=f"Quiet hours now; waits until {local:%a %H:%M} local time ({zones[0]}).",
        send_at=at,
    )


def _suppress(reason: Reason, sentence: str | None = None) -> Decision:
    return Decision(Verdict.SUPPRESS, reason, sentence or _SENTENCES[reason])


def _channel_sentence(reason: Reason, channel: Channel, candidate: Candidate) -> str:
    state = candidate.channels.get(channel)
    consent = state.consent if state else None
    when = f" of {consent.occurred_at:%Y-%m-%d}" if consent and reason is Reason.OPTED_OUT else ""
    return _CHANNEL_SENTENCES[reason].format(
        channel=_word(channel),
        when=when,
        address="phone number" if channel is Channel.SMS else "email address",
    )


def _word(channel: Channel) -> str:
    return "texts" if channel is Channel.SMS else "email"
