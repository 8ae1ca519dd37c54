"""Whether a message may be sent for what it says: fair housing, and the words that it must hold."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time
from functools import lru_cache

from activation import fair_housing
from activation.rule_model import FairHousingRule, WordingRule
from activation.rulebook import RuleBook
from activation.types import Channel, Reason

_WAY_OUT = re.compile(
    r"\b(?:reply|text|send|answer)\W{0,3}(?:stop|end|quit|cancel|unsubscribe)\b"
    r"|\bstop (?:to|2) (?:opt[- ]?out|end|quit|cancel|unsubscribe|stop)\b|\bopt[- ]?out\b|\bSTOP\b",
    re.IGNORECASE,
)
# Nearly every message says it in capitals, which is found at once.
_PLAIN_WAY_OUT = re.compile(r"STOP(?<=\bSTOP)\b")
_UNSUBSCRIBE_LINK = re.compile(r"https?://\S+/unsubscribe/\S+", re.IGNORECASE)
_WORD = re.compile(r"[a-z]+")


@lru_cache(maxsize=4)
def _words_of(rules: RuleBook) -> frozenset[str]:
    return frozenset(
        word
        for rule in rules.rules
        if isinstance(rule, FairHousingRule)
        for word in rule.parameters.words
    )


@lru_cache(maxsize=64)
def _wording_rules(rules: RuleBook, channel: Channel, day: date) -> tuple[WordingRule, ...]:
    found = rules.of_kind("wording", channel, datetime.combine(day, time.min, tzinfo=UTC))
    return tuple(rule for rule in found if isinstance(rule, WordingRule))


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a message may not be sent; the sentence quotes the phrase."""

    reason: Reason
    sentence: str


@dataclass(slots=True)
class ContentCheck:
    """Checks the messages of a plan, of which most come from one template.

    Args:
        rules: the rule book.
        at: the moment, aware.
    """

    rules: RuleBook
    at: datetime
    _of_template: dict[str, Refusal | None] = field(default_factory=dict, repr=False)

    def planned(
        self,
        template: str,
        values: Iterable[str],
        channel: Channel,
        subject: str | None,
        body: str,
        *,
        sender: str,
        postal_address: str,
    ) -> Refusal | None:
        """What forbids a message of a plan; None if nothing does.

        A template's words are judged once. A message is judged by itself where a lead's own values
        bring in a word that any rule looks for; every message is again when it is sent.

        Args:
            template: id and version.
            values: what was filled in for the lead.
            channel: of the message.
            subject: of an email.
            body: the text.
            sender: the name that a first text must hold.
            postal_address: what every email must hold.
        """
        wording = self._wording(channel, body, True, sender, postal_address)
        if wording is not None:
            return wording
        if _words_of(self.rules).isdisjoint(_WORD.findall(" ".join(values).lower())):
            if template not in self._of_template:
                self._of_template[template] = self._unfair(subject, body)
            return self._of_template[template]
        return self._unfair(subject, body)

    def sending(
        self, channel: Channel, subject: str | None, body: str, *, is_first: bool
    ) -> Refusal | None:
        """What forbids a message at the moment of sending, by its own words alone."""
        return self._unfair(subject, body) or self._wording(channel, body, is_first, None, None)

    def _unfair(self, subject: str | None, body: str) -> Refusal | None:
        found = fair_housing.check(f"{subject}\n{body}" if subject else body, self.rules)
        if not found:
            return None
        first = found[0]
        return Refusal(
            Reason.FAIR_HOUSING,
            f"The text says {first.phrase!r} ({first.category}). {first.why}",
        )

    def _wording(
        self,
        channel: Channel,
        body: str,
        is_first: bool,
        sender: str | None,
        postal_address: str | None,
    ) -> Refusal | None:
        for rule in _wording_rules(self.rules, channel, self.at.date()):
            asked = rule.parameters
            if asked.first_only and not is_first:
                continue
            lacks = None
            if asked.opt_out and not (_PLAIN_WAY_OUT.search(body) or _WAY_OUT.search(body)):
                lacks = "does not say how to opt out"
            elif asked.sender and sender and not _names(body, sender):
                lacks = f"does not name the sender, {sender}"
            elif asked.postal_address and postal_address and postal_address not in body:
                lacks = "does not hold the sender's postal address"
            elif asked.one_click and not _UNSUBSCRIBE_LINK.search(body):
                lacks = "holds no unsubscribe link"
            if lacks:
                return Refusal(Reason.WORDING, f"The {channel} {lacks} ({rule.id}).")
        return None


def _names(body: str, sender: str) -> bool:
    return sender in body or sender.casefold() in body.casefold()
