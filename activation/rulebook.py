"""The rules as data: ``activation/rules/*.yaml``, each with its source and first day of force."""

from __future__ import annotations

import hashlib
from datetime import datetime, time, timedelta
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from activation.hours import Schedule
from activation.rule_model import CapRule, ConsentRule, HoursRule, LineRule, ListRule, Rule
from activation.types import Channel
from activation.yaml_lines import line_at, lines_of, load_yaml
from leadengine.errors import LeadEngineError

RULES_DIR = Path(__file__).parent / "rules"
_RULE: TypeAdapter[Rule] = TypeAdapter(Rule)


class RuleError(LeadEngineError):
    """A rule file cannot be used."""


class FrequencyCap(BaseModel):
    """At most ``messages`` in any ``within``."""

    model_config = ConfigDict(frozen=True)

    rule_id: str
    messages: int
    within: timedelta


class RuleBook(BaseModel):
    """All rules and the version that names exactly this text of them."""

    model_config = ConfigDict(frozen=True)

    rules: tuple[Rule, ...]
    version: str

    def __hash__(self) -> int:
        return hash(self.version)

    def of_kind(self, kind: str, channel: Channel, at: datetime) -> list[Rule]:
        """The rules of a kind that hold for a channel at a moment."""
        return [
            rule
            for rule in self.rules
            if rule.kind == kind and channel in rule.channels and rule.in_force(at.date())
        ]

    def hours(self, channel: Channel, at: datetime) -> tuple[time, time] | None:
        """Earliest and latest local time (end excluded) for a channel; None if any hour is right.

        Where several rules hold, the narrowest hours of all.
        """
        rules = [
            rule
            for rule in self.of_kind("quiet_hours", channel, at)
            if isinstance(rule, HoursRule) and not rule.states
        ]
        if not rules:
            return None
        earliest = max(rule.parameters.earliest for rule in rules)
        latest = min(rule.parameters.latest for rule in rules)
        return earliest, latest

    def schedule(self, channel: Channel, states: tuple[str, ...]) -> Schedule | None:
        """The hours for a channel in all of some states at once; None if any hour is right."""
        return _schedule(self, channel, states)

    def caps(
        self, channel: Channel, at: datetime, states: tuple[str, ...] = ()
    ) -> list[FrequencyCap]:
        """The frequency caps for a channel: those of everywhere and those of the states."""
        return [
            FrequencyCap(
                rule_id=rule.id,
                messages=rule.parameters.messages,
                within=timedelta(hours=rule.parameters.hours),
            )
            for rule in self.of_kind("frequency_cap", channel, at)
            if isinstance(rule, CapRule) and (not rule.states or set(rule.states) & set(states))
        ]

    def barred_lists(self, channel: Channel, at: datetime, *, has_consent: bool) -> frozenset[str]:
        """The kinds of do-not-call lists that keep a person off a channel."""
        return frozenset(
            name
            for rule in self.of_kind("do_not_call", channel, at)
            if isinstance(rule, ListRule) and not (has_consent and rule.parameters.consent_excepts)
            for name in rule.parameters.lists
        )

    def barred_lines(self, channel: Channel, at: datetime) -> frozenset[str]:
        """The types of line that a channel cannot reach."""
        return frozenset(
            name
            for rule in self.of_kind("line_type", channel, at)
            if isinstance(rule, LineRule)
            for name in rule.parameters.refused
        )

    def needs_consent(self, channel: Channel, at: datetime) -> bool:
        """Whether a recorded consent is asked for on a channel."""
        return any(
            rule.parameters.required
            for rule in self.of_kind("consent", channel, at)
            if isinstance(rule, ConsentRule)
        )

    def cap_window(self) -> timedelta:
        """How far back sends matter to any cap."""
        hours = [rule.parameters.hours for rule in self.rules if isinstance(rule, CapRule)]
        return timedelta(hours=max(hours, default=0.0))


@lru_cache(maxsize=4096)
def _schedule(book: RuleBook, channel: Channel, states: tuple[str, ...]) -> Schedule | None:
    rules = tuple(
        rule
        for rule in book.rules
        if isinstance(rule, HoursRule)
        and channel in rule.channels
        and (not rule.states or set(rule.states) & set(states))
    )
    return Schedule(rules) if rules else None


def load_rules(folder: Path = RULES_DIR) -> RuleBook:
    """Reads every rule file of a folder.

    Raises:
        RuleError: a file is not YAML or a rule does not fit; names the file, the line and the rule.
    """
    rules: list[Rule] = []
    places: dict[str, str] = {}
    digest = hashlib.sha256()
    for path in sorted(folder.glob("*.yaml")):
        text = path.read_text("utf-8")
        digest.update(f"{path.name}\n{text}\n".encode())
        for rule, line in _read_file(path, text):
            place = f"{path.name}, line {line}"
            if rule.id in places:
                raise RuleError(
                    f"{place}: the rule id {rule.id!r} is used twice; the other is at"
                    f" {places[rule.id]}.",
                    remedy="Give each rule an id of its own.",
                )
            places[rule.id] = place
            rules.append(rule)
    if not any(rule.kind == "consent" for rule in rules):
        raise RuleError(
            f"No rule of kind 'consent' stands in {folder}.",
            remedy="Restore activation/rules/consent.yaml: without it nobody would be protected.",
        )
    return RuleBook(rules=tuple(rules), version=digest.hexdigest()[:16])


@lru_cache(maxsize=1)
def current_rules() -> RuleBook:
    """The rules that ship with this version, read once."""
    return load_rules()


def _read_file(path: Path, text: str) -> list[tuple[Rule, int]]:
    try:
        content = load_yaml(text)
        lines = lines_of(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f", line {mark.line + 1}" if mark else ""
        problem = getattr(error, "problem", None) or error
        raise RuleError(
            f"{path.name}{where}: this is not YAML: {problem}.", remedy="Correct the file."
        ) from error
    entries = content.get("rules") if isinstance(content, dict) else None
    if not isinstance(entries, list):
        raise RuleError(
            f"{path.name}, line 1: there is no list named 'rules'.",
            remedy="Put the rules under 'rules:'.",
        )
    found = []
    for number, entry in enumerate(entries):
        try:
            rule = _RULE.validate_python(entry)
        except ValidationError as error:
            raise _problem(path, lines, number, entry, error) from error
        found.append((rule, line_at(lines, ("rules", number, "id"))))
    return found


def _problem(
    path: Path,
    lines: dict[tuple[str | int, ...], int],
    number: int,
    entry: Any,
    error: ValidationError,
) -> RuleError:
    first = error.errors()[0]
    # Pydantic puts the kind of rule before the field; in the file there is no such level.
    kind = entry.get("kind") if isinstance(entry, dict) else None
    loc = first["loc"][1:] if first["loc"][:1] == (kind,) else first["loc"]
    if first["type"].startswith("union_tag"):
        loc = ("kind",)
    line = line_at(lines, ("rules", number, *loc))
    field = ".".join(str(part) for part in loc) or "the rule"
    name = entry.get("id", number + 1) if isinstance(entry, dict) else number + 1
    return RuleError(
        f"{path.name}, line {line}: rule {name}, {field}: {first['msg']}.",
        remedy="Correct the rule; the other rules of its kind show the form.",
    )
