"""The rules as data: ``activation/rules/*.yaml``, each with its source and first day of force."""

from __future__ import annotations

import hashlib
from datetime import date, datetime, time, timedelta
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from activation.types import Channel
from leadengine.errors import LeadEngineError

RULES_DIR = Path(__file__).parent / "rules"


class RuleError(LeadEngineError):
    """A rule file cannot be used."""


class Rule(BaseModel):
    """One rule, as written in its file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str
    kind: Literal["consent", "revocation", "quiet_hours", "frequency_cap"]
    channels: tuple[Channel, ...]
    source: str
    valid_from: date
    valid_until: date | None = None
    text: str
    parameters: dict[str, Any]

    def in_force(self, on: date) -> bool:
        """Whether the rule holds on that day."""
        return self.valid_from <= on and (self.valid_until is None or on <= self.valid_until)


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
        rules = self.of_kind("quiet_hours", channel, at)
        if not rules:
            return None
        earliest = max(time.fromisoformat(str(rule.parameters["earliest"])) for rule in rules)
        latest = min(time.fromisoformat(str(rule.parameters["latest"])) for rule in rules)
        return earliest, latest

    def caps(self, channel: Channel, at: datetime) -> list[FrequencyCap]:
        """The frequency caps for a channel."""
        return [
            FrequencyCap(
                rule_id=rule.id,
                messages=int(rule.parameters["messages"]),
                within=timedelta(hours=float(rule.parameters["hours"])),
            )
            for rule in self.of_kind("frequency_cap", channel, at)
        ]

    def needs_consent(self, channel: Channel, at: datetime) -> bool:
        """Whether a recorded consent is asked for on a channel."""
        return any(rule.parameters.get("required") for rule in self.of_kind("consent", channel, at))

    def cap_window(self) -> timedelta:
        """How far back sends matter to any cap."""
        hours = [
            float(rule.parameters["hours"]) for rule in self.rules if rule.kind == "frequency_cap"
        ]
        return timedelta(hours=max(hours, default=0.0))


def load_rules(folder: Path = RULES_DIR) -> RuleBook:
    """Reads every rule file of a folder.

    Raises:
        RuleError: a file is not YAML or a rule does not fit; names the file and the rule.
    """
    rules: list[Rule] = []
    digest = hashlib.sha256()
    for path in sorted(folder.glob("*.yaml")):
        text = path.read_text("utf-8")
        digest.update(f"{path.name}\n{text}\n".encode())
        rules.extend(_read_file(path, text))
    seen: set[str] = set()
    for rule in rules:
        if rule.id in seen:
            raise RuleError(
                f"The rule id {rule.id!r} is used twice in {folder.name}/.",
                remedy="Give each rule an id of its own.",
            )
        seen.add(rule.id)
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


def _read_file(path: Path, text: str) -> list[Rule]:
    try:
        content = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise RuleError(f"{path.name} is not YAML: {error}.", remedy="Correct the file.") from error
    entries = content.get("rules") if isinstance(content, dict) else None
    if not isinstance(entries, list):
        raise RuleError(
            f"{path.name} has no list named 'rules'.", remedy="Put the rules under 'rules:'."
        )
    found = []
    for number, entry in enumerate(entries, start=1):
        try:
            found.append(Rule.model_validate(entry))
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(str(part) for part in first["loc"])
            raise RuleError(
                f"{path.name}: rule {number}, {where}: {first['msg']}.",
                remedy="Correct the rule; the other files in the folder show the form.",
            ) from error
    return found
