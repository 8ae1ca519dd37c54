"""The form of a rule: what every rule states, and what each kind asks for in ``parameters``."""

from __future__ import annotations

import re
from datetime import date, time
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from activation.types import Channel

_STRICT = ConfigDict(frozen=True, extra="forbid")


class Hours(BaseModel):
    """Local hours of a day; ``latest`` is excluded."""

    model_config = _STRICT

    earliest: time
    latest: time

    @field_validator("earliest", "latest", mode="before")
    @classmethod
    def _quoted(cls, value: object) -> object:
        # YAML reads an unquoted 20:00 as the number 1200.
        if not isinstance(value, str):
            raise ValueError(f"write the time in quotes, such as '08:00', not {value!r}")
        return value

    @model_validator(mode="after")
    def _in_order(self) -> Hours:
        if self.earliest >= self.latest:
            raise ValueError("earliest must be before latest")
        # Where clocks go forward they skip an hour of the night; no opening may lie in it.
        if self.earliest < time(5):
            raise ValueError("earliest must be 05:00 or later")
        return self


DayHours = Hours | Literal["closed"]


class HoursParameters(Hours):
    """``earliest`` and ``latest`` hold every day that has no hours of its own."""

    saturday: DayHours | None = None
    sunday: DayHours | None = None
    holiday: DayHours | None = None


class CapParameters(BaseModel):
    """At most ``messages`` in any ``hours``, whatever they were about."""

    model_config = _STRICT

    messages: int = Field(ge=1)
    hours: float = Field(gt=0)


class ConsentParameters(BaseModel):
    """Whether a recorded consent is asked for, and for which purpose."""

    model_config = _STRICT

    purpose: Literal["marketing", "transactional"]
    required: bool


class RevocationParameters(BaseModel):
    """Whether a word against holds for the address as well as for the person."""

    model_config = _STRICT

    by_address: bool


class ListParameters(BaseModel):
    """Which do-not-call lists are heeded; ``consent_excepts`` where a newer consent goes before."""

    model_config = _STRICT

    lists: tuple[Literal["internal", "national", "state"], ...] = Field(min_length=1)
    consent_excepts: bool = False


class LineParameters(BaseModel):
    """Types of line, in the carrier's words, that cannot take a text."""

    model_config = _STRICT

    refused: tuple[str, ...] = Field(min_length=1)


class WordingParameters(BaseModel):
    """What a message must say; ``first_only`` asks it of the first to a person in a sequence."""

    model_config = _STRICT

    sender: bool = False
    opt_out: bool = False
    postal_address: bool = False
    one_click: bool = False
    first_only: bool = False


class FairHousingParameters(BaseModel):
    """Language that is refused.

    ``patterns`` are regular expressions over the text in lower case with single spaces. ``words``
    are what any match has at least one of, so that most texts are passed by at a glance. A match
    of ``unless`` anywhere in the text lifts the rule.
    """

    model_config = _STRICT

    category: str
    why: str
    words: tuple[str, ...] = Field(min_length=1)
    patterns: tuple[str, ...] = Field(min_length=1)
    unless: tuple[str, ...] = ()

    @field_validator("patterns", "unless")
    @classmethod
    def _compiles(cls, patterns: tuple[str, ...]) -> tuple[str, ...]:
        for pattern in patterns:
            try:
                re.compile(pattern)
            except re.error as error:
                raise ValueError(f"{pattern!r} is no regular expression: {error}") from error
        return patterns


class _Base(BaseModel):
    model_config = _STRICT

    id: str = Field(pattern=r"^[a-z0-9][a-z0-9-]*$")
    channels: tuple[Channel, ...] = Field(min_length=1)
    source: str = Field(min_length=3)
    valid_from: date
    valid_until: date | None = None
    states: tuple[Annotated[str, Field(pattern=r"^[A-Z]{2}$")], ...] = ()
    text: str = Field(min_length=3)
    examples: tuple[dict[str, object], ...] = ()

    @model_validator(mode="after")
    def _has_a_span(self) -> _Base:
        if self.valid_until is not None and self.valid_until < self.valid_from:
            raise ValueError("valid_until is before valid_from")
        return self

    def in_force(self, on: date) -> bool:
        """Whether the rule holds on that day."""
        return self.valid_from <= on and (self.valid_until is None or on <= self.valid_until)


class HoursRule(_Base):
    """When a message may arrive."""

    kind: Literal["quiet_hours"]
    parameters: HoursParameters


class CapRule(_Base):
    """How often a person may hear from us."""

    kind: Literal["frequency_cap"]
    parameters: CapParameters


class ConsentRule(_Base):
    """What a person must have agreed to."""

    kind: Literal["consent"]
    parameters: ConsentParameters


class RevocationRule(_Base):
    """How far a word against reaches."""

    kind: Literal["revocation"]
    parameters: RevocationParameters


class ListRule(_Base):
    """Which lists are heeded."""

    kind: Literal["do_not_call"]
    parameters: ListParameters


class LineRule(_Base):
    """What kind of line can take a text."""

    kind: Literal["line_type"]
    parameters: LineParameters


class WordingRule(_Base):
    """What a message must say."""

    kind: Literal["wording"]
    parameters: WordingParameters


class FairHousingRule(_Base):
    """Language that no message may hold."""

    kind: Literal["fair_housing"]
    parameters: FairHousingParameters


Rule = Annotated[
    HoursRule
    | CapRule
    | ConsentRule
    | RevocationRule
    | ListRule
    | LineRule
    | WordingRule
    | FairHousingRule,
    Field(discriminator="kind"),
]
