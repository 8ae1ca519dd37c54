"""Language that no message may hold: protected classes and steering, with phrase and reason.

The phrases are data, ``activation/rules/fair_housing.yaml``, each with its source and with examples
of what is refused and what is not.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from functools import lru_cache

from activation.rule_model import FairHousingRule
from activation.rulebook import RuleBook, current_rules

_APART = str.maketrans({chr(code): " " for code in range(128) if not chr(code).isalpha()})
_MARKUP = re.compile(r"<[a-z/!][^<>]*>")
_QUOTES = str.maketrans({"\u2018": "'", "\u2019": "'", "\u201c": '"', "\u201d": '"'})
_DASHES = re.compile(r"[\u2010-\u2015\u2212]")
_INVISIBLE = re.compile(r"[\u00ad\u200b-\u200f\u2060\ufeff]")


@dataclass(frozen=True, slots=True)
class Finding:
    """A phrase that must not be sent.

    Attributes:
        phrase: as matched, in lower case with single spaces.
        category: the protected class it touches, such as ``familial_status``, or ``steering``.
        why: one sentence, fit for a marketer to read.
        rule_id: of the rule in ``activation/rules/fair_housing.yaml``.
    """

    phrase: str
    category: str
    why: str
    rule_id: str


@dataclass(frozen=True, slots=True)
class Pattern:
    """One pattern behind two sieves, each of which lets by whatever it matches.

    ``words`` are those of the rule that may be in a match. ``loose`` is the pattern without the
    word boundary at its beginning, with which the engine cannot skip to a likely first letter.
    """

    exact: re.Pattern[str]
    loose: re.Pattern[str]
    words: frozenset[str]


@dataclass(frozen=True, slots=True)
class CompiledRule:
    """A rule with its patterns compiled."""

    rule: FairHousingRule
    words: frozenset[str]
    patterns: tuple[Pattern, ...]
    unless: tuple[re.Pattern[str], ...]


def check(text: str, rules: RuleBook | None = None) -> list[Finding]:
    """Every phrase in ``text`` that fair-housing law forbids or that steers, in order of place.

    Args:
        text: a template, or a message filled in; plain or HTML.
        rules: the rule book; default: the one that ships.

    Returns:
        An empty list for a text that may be sent. The check judges words: it cannot know that a
        text is fair, only that it holds none of the phrases.
    """
    plain = normalised(text)
    words = frozenset(plain.translate(_APART).split())
    found: list[tuple[int, Finding]] = []
    for entry in compiled(rules or current_rules()):
        if entry.words.isdisjoint(words):
            continue
        if any(pattern.search(plain) for pattern in entry.unless):
            continue
        parameters = entry.rule.parameters
        for pattern in entry.patterns:
            if pattern.words.isdisjoint(words) or pattern.loose.search(plain) is None:
                continue
            for match in pattern.exact.finditer(plain):
                finding = Finding(
                    match.group().strip(), parameters.category, parameters.why, entry.rule.id
                )
                found.append((match.start(), finding))
    found.sort(key=lambda item: (item[0], -len(item[1].phrase)))
    return list(dict.fromkeys(finding for _, finding in found))


def normalised(text: str) -> str:
    """The text as the patterns read it: lower case, one space, plain quotes, no markup."""
    plain = text
    if not plain.isascii():
        plain = unicodedata.normalize("NFKC", plain).translate(_QUOTES)
        plain = _INVISIBLE.sub("", _DASHES.sub("-", plain))
    plain = plain.lower()
    if "<" in plain:
        plain = _MARKUP.sub(" ", plain)
    return " ".join(plain.split())


@lru_cache(maxsize=4)
def compiled(rules: RuleBook) -> tuple[CompiledRule, ...]:
    """The fair-housing rules of a book, ready to be used."""
    return tuple(
        CompiledRule(
            rule,
            frozenset(rule.parameters.words),
            tuple(_pattern(pattern, rule.parameters.words) for pattern in rule.parameters.patterns),
            tuple(re.compile(pattern) for pattern in rule.parameters.unless),
        )
        for rule in rules.rules
        if isinstance(rule, FairHousingRule)
    )


def _pattern(source: str, words: tuple[str, ...]) -> Pattern:
    # Three letters, since what follows may be optional or an ending: famil(y|ies), kids?
    possible = frozenset(word for word in words if word[:3] in source)
    return Pattern(re.compile(source), re.compile(source.removeprefix(r"\b")), possible)
