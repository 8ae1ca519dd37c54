"""Audiences as declared data: ``activation/audiences/*.yaml``."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from activation.declared import load_declared, names_in
from leadengine.errors import LeadEngineError

AUDIENCES_DIR = Path(__file__).parent / "audiences"


class AudienceError(LeadEngineError):
    """An audience is unknown or its file cannot be used."""


class AudienceFilter(BaseModel):
    """Who belongs. Everything given must hold; what is left out does not matter."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    tiers: tuple[Literal["hot", "warm", "cool", "cold"], ...] | None = None
    min_score: float | None = Field(default=None, ge=0, le=1)
    max_score: float | None = Field(default=None, ge=0, le=1)
    sources: tuple[str, ...] | None = None
    lead_intents: tuple[str, ...] | None = None
    silent_days_min: int | None = Field(default=None, ge=0)
    silent_days_max: int | None = Field(default=None, ge=0)
    has_replied: bool | None = None
    age_days_max: int | None = Field(default=None, ge=0)
    no_show_days_max: int | None = Field(default=None, ge=0)
    won_days_min: int | None = Field(default=None, ge=0)
    won_days_max: int | None = Field(default=None, ge=0)

    @model_validator(mode="after")
    def _has_room(self) -> AudienceFilter:
        for low, high in (
            ("min_score", "max_score"),
            ("silent_days_min", "silent_days_max"),
            ("won_days_min", "won_days_max"),
        ):
            least, most = getattr(self, low), getattr(self, high)
            if least is not None and most is not None and least > most:
                raise ValueError(f"{low} {least} is above {high} {most}, so nobody belongs")
        return self

    def parameters(self) -> dict[str, Any]:
        """The filter as the bound parameters of ``sql/candidates.sql``."""
        return {
            "tiers": list(self.tiers) if self.tiers is not None else None,
            "min_score": self.min_score,
            "max_score": self.max_score,
            "sources": list(self.sources) if self.sources is not None else None,
            "lead_intents": list(self.lead_intents) if self.lead_intents is not None else None,
            "silent_days_min": self.silent_days_min,
            "silent_days_max": self.silent_days_max,
            "has_replied": self.has_replied,
            "age_days_max": self.age_days_max,
            "no_show_days_max": self.no_show_days_max,
            "won_days_min": self.won_days_min,
            "won_days_max": self.won_days_max,
        }


# Only open leads have a score; only clients a day on which they became that.
_OF_LEADS = {"tiers", "min_score", "max_score"}
_OF_CLIENTS = {"won_days_min", "won_days_max"}
WrittenFor = Literal["leads", "clients"]
"""Whom a sequence is written for: open leads, or past clients, whose deal is won and who have none
that is open."""


class Audience(BaseModel):
    """A named group of open leads, or of past clients.

    Having bought is no consent: clients are decided about by the same rules as leads.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    description: str
    of: WrittenFor = "leads"
    where: AudienceFilter = AudienceFilter()

    @model_validator(mode="after")
    def _fits(self) -> Audience:
        given = set(self.where.model_dump(exclude_none=True))
        wrong = given & (_OF_LEADS if self.of == "clients" else _OF_CLIENTS)
        if wrong:
            raise ValueError(f"{sorted(wrong)[0]} says nothing about {self.of}")
        return self


def audience_names(folder: Path = AUDIENCES_DIR) -> list[str]:
    """The audiences that can be asked for."""
    return names_in(folder)


def load_audience(name: str, folder: Path = AUDIENCES_DIR) -> Audience:
    """Reads one audience.

    Raises:
        AudienceError: there is none of that name, or its file does not fit; names the field.
    """
    return load_declared(
        Audience,
        "name",
        name,
        folder,
        problem=AudienceError,
        remedy=f"Fields that can be used: {', '.join(AudienceFilter.model_fields)}.",
    )
