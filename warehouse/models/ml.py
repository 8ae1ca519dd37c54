"""Tables of scores, predictions, and how well they hold."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, ForeignKey, Identity
from sqlalchemy.orm import Mapped, mapped_column

from warehouse.models.base import ML, Base


class LeadScore(Base):
    """A lead's score at one moment, the reasons, and where the vector that made it is kept."""

    __tablename__ = "lead_scores"
    __table_args__ = ML

    lead_id: Mapped[str] = mapped_column(primary_key=True)
    as_of: Mapped[datetime] = mapped_column(primary_key=True)
    location_id: Mapped[str]
    score: Mapped[float]
    tier: Mapped[str]
    rank: Mapped[int]
    reasons: Mapped[list[dict[str, Any]]]
    model_name: Mapped[str]
    model_version: Mapped[str]
    features_digest: Mapped[str]
    features: Mapped[dict[str, Any] | None]
    scored_at: Mapped[datetime]
    block_id: Mapped[int | None] = mapped_column(BigInteger)
    block_row: Mapped[int | None]
    base_log_odds: Mapped[float | None]
    other_log_odds: Mapped[float | None]


class FeatureBlock(Base):
    """Packed feature vectors of some thousand scored leads of one location."""

    __tablename__ = "feature_blocks"
    __table_args__ = ML

    block_id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    location_id: Mapped[str]
    as_of: Mapped[datetime]
    model_name: Mapped[str]
    model_version: Mapped[str]
    row_count: Mapped[int]
    vectors: Mapped[bytes]
    stored_at: Mapped[datetime]
    feature_columns: Mapped[list[dict[str, Any]] | None]


class OnlineScore(Base):
    """A score that was asked for alone, with what it is replayed from."""

    __tablename__ = "online_scores"
    __table_args__ = ML

    score_id: Mapped[UUID] = mapped_column(primary_key=True)
    lead_id: Mapped[str]
    location_id: Mapped[str]
    as_of: Mapped[datetime]
    score: Mapped[float]
    tier: Mapped[str]
    reasons: Mapped[list[dict[str, Any]]]
    base_log_odds: Mapped[float]
    other_log_odds: Mapped[float]
    model_name: Mapped[str]
    model_version: Mapped[str]
    features_digest: Mapped[str]
    vector: Mapped[bytes | None]
    scored_at: Mapped[datetime]


class WatchRun(Base):
    """One look at drift and calibration: what of, what was found."""

    __tablename__ = "watch_runs"
    __table_args__ = ML

    watch_id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    watched_at: Mapped[datetime]
    as_of: Mapped[datetime]
    baseline_as_of: Mapped[datetime]
    model_name: Mapped[str]
    model_version: Mapped[str]
    row_count: Mapped[int]
    verdict: Mapped[str]
    summary: Mapped[str]
    counts: Mapped[dict[str, Any]]


class WatchFigure(Base):
    """One figure of a look."""

    __tablename__ = "watch_figures"
    __table_args__ = ML

    watch_id: Mapped[int] = mapped_column(
        BigInteger, ForeignKey("ml.watch_runs.watch_id", ondelete="CASCADE"), primary_key=True
    )
    kind: Mapped[str] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(primary_key=True)
    value: Mapped[float]
    low: Mapped[float | None]
    high: Mapped[float | None]
    row_count: Mapped[int]
    is_alarming: Mapped[bool]


class RulesModel(Base):
    """A version of the rules score, which scores where there is no champion."""

    __tablename__ = "rules_models"
    __table_args__ = ML

    version: Mapped[str] = mapped_column(primary_key=True)
    made_at: Mapped[datetime]
    reason: Mapped[str]
    model: Mapped[str]


class TargetModel(Base):
    """What one training of a target found: a model, a base rate, or too little evidence."""

    __tablename__ = "target_models"
    __table_args__ = ML

    target: Mapped[str] = mapped_column(primary_key=True)
    trained_at: Mapped[datetime] = mapped_column(primary_key=True)
    status: Mapped[str]
    reason: Mapped[str]
    rows_used: Mapped[int]
    outcomes: Mapped[int]
    leads: Mapped[int]
    base_rate: Mapped[float | None]
    low: Mapped[float | None]
    high: Mapped[float | None]
    model_name: Mapped[str | None]
    model_version: Mapped[str | None]
    figures: Mapped[dict[str, Any]]


class LeadPrediction(Base):
    """A lead's newest prediction of one target, with its 90 % interval."""

    __tablename__ = "lead_predictions"
    __table_args__ = ML

    lead_id: Mapped[str] = mapped_column(primary_key=True)
    target: Mapped[str] = mapped_column(primary_key=True)
    location_id: Mapped[str]
    as_of: Mapped[datetime]
    probability: Mapped[float | None]
    low: Mapped[float | None]
    high: Mapped[float | None]
    evidence: Mapped[str]
    median_days: Mapped[float | None]
    model_name: Mapped[str | None]
    model_version: Mapped[str | None]
    predicted_at: Mapped[datetime]


class LocationEvidence(Base):
    """Which score a location's own outcomes favour, and its rate of conversion."""

    __tablename__ = "location_evidence"
    __table_args__ = ML

    location_id: Mapped[str] = mapped_column(primary_key=True)
    as_of: Mapped[datetime]
    method: Mapped[str]
    reason: Mapped[str]
    leads: Mapped[int]
    outcomes: Mapped[int]
    rate: Mapped[float]
    low: Mapped[float]
    high: Mapped[float]
    prior_source: Mapped[str]
    figures: Mapped[dict[str, Any]]
