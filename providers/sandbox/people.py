"""How the simulated people take to a message: deterministic by seed, message and person."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from providers.sandbox.chance import lognormal, pick, uniform

STOP_WORDS = {
    "STOP", "STOPALL", "UNSUBSCRIBE", "CANCEL", "END", "QUIT", "REVOKE", "OPTOUT",
}  # fmt: skip
START_WORDS = {"START", "YES", "UNSTOP"}
HELP_WORDS = {"HELP", "INFO"}

_STOPS = ["STOP", "Stop", "stop", "UNSUBSCRIBE", "QUIT", "Cancel"]
_PLAIN_STOPS = [
    "Please stop texting me",
    "take me off your list",
    "Do not contact me again.",
    "Wrong number, remove me",
]
_WARM = [
    "Yes, still looking! Can you call me tomorrow?",
    "Sure, what times do you have this week?",
    "Yes please send me some listings",
    "Is the one on Palm St still available?",
    "We could do Saturday morning.",
    "Hi! Yes, we just got pre-approved.",
    "What would our place sell for now?",
]
_COOL = [
    "Not right now, maybe in the spring",
    "Who is this?",
    "We already bought, thanks",
    "Just browsing for now",
    "ok thanks",
]


_LANDLINES = 0.012


@dataclass(frozen=True, slots=True)
class SmsReaction:
    """What becomes of a text message; delays count from its sending.

    ``error_code`` is Twilio's, 0 when delivered. ``reply`` is empty when nobody answers.
    """

    error_code: int
    delivery_delay: timedelta
    reply: str
    reply_delay: timedelta
    calls_back: bool


@dataclass(frozen=True, slots=True)
class EmailReaction:
    """What becomes of an email. ``events`` are (delay, SendGrid event, detail), in order."""

    events: tuple[tuple[timedelta, str, str], ...]


def line_type(seed: int, phone: str) -> str:
    """What Twilio Lookup says of a number: a landline takes no text, whoever owns it."""
    if uniform(seed, phone, "number") < _LANDLINES:
        return "landline"
    return "nonFixedVoip" if uniform(seed, phone, "line") < 0.06 else "mobile"


def text_message(seed: int, sid: str, phone: str, propensity: float, recent: int) -> SmsReaction:
    """The reaction to one SMS.

    Args:
        seed: of the sandbox.
        sid: the message's, so that each message has its own luck.
        phone: some numbers are dead or landlines, always.
        propensity: the person's true probability of converting.
        recent: messages they had from us in the last 30 days; the more, the likelier a STOP.
    """
    delay = timedelta(seconds=lognormal(2.5, 0.5, seed, sid, "delivery"))
    trait = uniform(seed, phone, "number")
    luck = uniform(seed, sid, "carrier")
    error = 0
    if trait < _LANDLINES:
        error = 30006
    elif trait < 0.022:
        error = 30003
    elif luck < 0.004:
        error = 30007
    elif luck < 0.008:
        error = 30005
    answer = uniform(seed, sid, "answer")
    stop = min(0.25, 0.012 + 0.02 * recent)
    warm = 0.03 + 0.55 * propensity
    reply = ""
    if error == 0:
        if answer < stop:
            plain = uniform(seed, sid, "wording") < 0.3
            reply = pick(_PLAIN_STOPS if plain else _STOPS, seed, sid, "stop")
        elif answer < stop + warm:
            reply = pick(_WARM, seed, sid, "warm")
        elif answer < stop + warm + 0.03:
            reply = pick(_COOL, seed, sid, "cool")
    minutes = min(lognormal(14.0, 1.2, seed, sid, "reply"), 60.0 * 30)
    calls_back = error == 0 and not reply and uniform(seed, sid, "call") < 0.04 + 0.1 * propensity
    return SmsReaction(error, delay, reply, timedelta(minutes=max(0.5, minutes)), calls_back)


def email_message(seed: int, msg_id: str, email: str, propensity: float) -> EmailReaction:
    """The reaction to one email."""
    events: list[tuple[timedelta, str, str]] = []
    at = timedelta(seconds=lognormal(4.0, 0.6, seed, msg_id, "delivery"))
    trait = uniform(seed, email, "mailbox")
    if trait < 0.02:
        return EmailReaction(((at, "bounce", "550 5.1.1 The email account does not exist"),))
    if trait < 0.025:
        return EmailReaction(((at, "blocked", "550 5.7.1 Message rejected by policy"),))
    if uniform(seed, msg_id, "deferred") < 0.02:
        events.append((at, "deferred", "451 4.7.1 Greylisted, try again later"))
        at += timedelta(minutes=5)
    events.append((at, "delivered", "250 OK"))
    if uniform(seed, msg_id, "open") < 0.18 + 0.5 * propensity:
        opened = at + timedelta(minutes=lognormal(45.0, 1.3, seed, msg_id, "open delay"))
        events.append((opened, "open", ""))
        if uniform(seed, msg_id, "click") < 0.08 + 0.45 * propensity:
            events.append((opened + timedelta(seconds=40), "click", ""))
        leave = uniform(seed, msg_id, "leave")
        if leave < 0.004:
            events.append((opened + timedelta(minutes=1), "spamreport", ""))
        elif leave < 0.014:
            events.append((opened + timedelta(minutes=1), "unsubscribe", ""))
    return EmailReaction(tuple(events))
