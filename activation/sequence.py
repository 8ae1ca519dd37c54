"""Sequences as declared data: ``activation/sequences/*.yaml``."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    model_validator,
)

from activation.declared import load_declared, names_in, read_declared
from activation.findings import Finding
from activation.sequence_checks import check_graph
from activation.types import Channel
from leadengine.errors import LeadEngineError

SEQUENCES_DIR = Path(__file__).parent / "sequences"
REMEDY = "Correct the field; the other sequences in the folder and docs/marketers.md show the form."

StopKind = Literal["reply", "opt_out", "appointment", "won", "click"]
Tier = Literal["hot", "warm", "cool", "cold"]
_WAIT = re.compile(r"(\d+) (hour|day|week|business day)s?")


class SequenceError(LeadEngineError):
    """A sequence is unknown or its file cannot be used."""


@dataclass(frozen=True, slots=True)
class Wait:
    """How long to wait after a message: ``4 hours``, ``3 days``, ``1 business day``."""

    number: int
    unit: Literal["hour", "day", "week", "business day"]

    def __str__(self) -> str:
        return f"{self.number} {self.unit}{'' if self.number == 1 else 's'}"


def _parse_wait(value: object) -> object:
    if isinstance(value, Wait):
        return value
    match = _WAIT.fullmatch(str(value).strip())
    if match is None or not 0 < int(match[1]) <= 730:
        raise ValueError("a wait is a number and hours, days, weeks or business days: '3 days'")
    return Wait(int(match[1]), match[2])  # type: ignore[arg-type]


class Condition(BaseModel):
    """What a branch asks for; all that is given must hold.

    ``reply``, ``click``, ``open`` and ``appointment`` look at what happened since the step's
    message; ``tier`` at the newest score. Mail programs that load pictures by themselves make
    ``open`` say more than it knows; ``click`` is the better question.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    reply: bool | None = None
    click: bool | None = None
    open: bool | None = None
    appointment: bool | None = None
    tier: tuple[Tier, ...] | None = Field(default=None, min_length=1)

    @model_validator(mode="before")
    @classmethod
    def _from_word(cls, value: object) -> object:
        return {value: True} if isinstance(value, str) else value

    @model_validator(mode="after")
    def _asks(self) -> Condition:
        if not self.model_dump(exclude_none=True):
            raise ValueError(
                "a branch asks for at least one of reply, click, open, appointment, tier"
            )
        return self

    def __str__(self) -> str:
        asked = self.model_dump(exclude_none=True)
        return " and ".join(
            f"tier {' or '.join(value)}" if name == "tier" else name if value else f"no {name}"
            for name, value in asked.items()
        )


class Branch(BaseModel):
    """Where to go when a condition holds once the step's wait is over; the first one counts."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    when: Condition
    go_to: int | Literal["end"]


class Step(BaseModel):
    """One message of a sequence.

    The order of ``templates`` is the preference of channels: where the first is closed for a
    lead, the next one is taken. After ``wait`` the branches are looked at, then ``otherwise``,
    which is the following step unless it says something else.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    step: int = Field(ge=1)
    templates: dict[Channel, str] = Field(min_length=1)
    wait: Annotated[
        Wait | None,
        BeforeValidator(lambda value: None if value is None else _parse_wait(value)),
        PlainSerializer(lambda value: None if value is None else str(value)),
    ] = None
    branches: tuple[Branch, ...] = ()
    otherwise: int | Literal["next", "end"] = "next"


class Sequence(BaseModel):
    """A named run of steps. What ends it for a lead stands in ``stop_on``.

    ``written_for`` is open leads, or clients: a message goes to nobody who is not that when it is
    sent.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str
    name: str
    description: str
    purpose: Literal["marketing"] = "marketing"
    written_for: Literal["leads", "clients"] = "leads"
    stop_on: tuple[StopKind, ...] = ()
    steps: tuple[Step, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _numbered(self) -> Sequence:
        if [step.step for step in self.steps] != list(range(1, len(self.steps) + 1)):
            raise ValueError("steps must be numbered 1, 2, 3 ... in order")
        return self

    def step(self, number: int) -> Step:
        """The step of that number, from 1."""
        return self.steps[number - 1]

    def after(self, number: int) -> int | Literal["end"]:
        """Where a lead goes after a step when none of its branches holds."""
        otherwise = self.step(number).otherwise
        if otherwise == "next":
            return number + 1 if number < len(self.steps) else "end"
        return otherwise

    @property
    def template_ids(self) -> list[str]:
        """The templates of all steps, each once."""
        return sorted({name for step in self.steps for name in step.templates.values()})

    @property
    def version(self) -> str:
        """Names exactly this declaration (12 hexadecimal digits)."""
        return hashlib.sha256(self.as_text().encode()).hexdigest()[:12]

    def as_text(self) -> str:
        """The declaration as JSON text, to be stored as text: the order of channels counts."""
        return self.model_dump_json()

    @classmethod
    def from_text(cls, text: str) -> Sequence:
        """A sequence as :meth:`as_text` wrote it."""
        return cls.model_validate_json(text)


def sequence_names(folder: Path = SEQUENCES_DIR) -> list[str]:
    """The sequences that can be asked for."""
    return names_in(folder)


def read_sequence(path: Path) -> tuple[Sequence | None, list[Finding]]:
    """One file's sequence, None if it cannot be used, and all its faults."""
    return read_declared(Sequence, "id", path, remedy=REMEDY, check=check_graph)


def load_sequence(name: str, folder: Path = SEQUENCES_DIR) -> Sequence:
    """Reads one sequence.

    Raises:
        SequenceError: there is none of that name, or its file does not fit, has a step that
            nothing leads to, a loop, or no stop on an opt-out or a reply; names file, line,
            field and value.
    """
    return load_declared(
        Sequence, "id", name, folder, problem=SequenceError, remedy=REMEDY, check=check_graph
    )
