"""Sequences as declared data: ``activation/sequences/*.yaml``."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from activation.declared import load_declared, names_in
from activation.types import Channel
from leadengine.errors import LeadEngineError

SEQUENCES_DIR = Path(__file__).parent / "sequences"


class SequenceError(LeadEngineError):
    """A sequence is unknown or its file cannot be used."""


class Step(BaseModel):
    """One message of a sequence; the order of ``templates`` is the preference of channels."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    step: int = Field(ge=1)
    delay_days: float = Field(default=0, ge=0)
    templates: dict[Channel, str] = Field(min_length=1)


class Sequence(BaseModel):
    """A named run of steps. What ends it for a lead stands in ``stop_on``."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str
    name: str
    description: str
    purpose: Literal["marketing"] = "marketing"
    stop_on: tuple[Literal["reply", "opt_out", "appointment", "won"], ...] = ()
    steps: tuple[Step, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _numbered(self) -> Sequence:
        if [step.step for step in self.steps] != list(range(1, len(self.steps) + 1)):
            raise ValueError("steps must be numbered 1, 2, 3 ... in order")
        return self


def sequence_names(folder: Path = SEQUENCES_DIR) -> list[str]:
    """The sequences that can be asked for."""
    return names_in(folder)


def load_sequence(name: str, folder: Path = SEQUENCES_DIR) -> Sequence:
    """Reads one sequence.

    Raises:
        SequenceError: there is none of that name, or its file does not fit; names the field.
    """
    return load_declared(
        Sequence,
        "id",
        name,
        folder,
        problem=SequenceError,
        remedy="Correct the file; the other sequences in the folder show the form.",
    )
