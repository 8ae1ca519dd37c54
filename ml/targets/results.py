"""What a training of a target found, as it is stored in ``ml.target_models``."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from warehouse.database import Database


@dataclass(frozen=True)
class TargetResult:
    """What one training of a target found.

    Attributes:
        target: its name.
        status: ``model``, ``base_rate`` (nothing beats the share itself) or
            ``not_enough_evidence``.
        reason: why, in a sentence.
        rows, outcomes, leads: rows seen, how many of them it happened in, and of how many leads.
        base_rate: the share; None without a row.
        low, high: its 90 % interval.
        model_name, model_version: in the registry, where there is a model.
        figures: on rows not trained on.
    """

    target: str
    status: str
    reason: str
    rows: int
    outcomes: int
    leads: int
    base_rate: float | None
    low: float | None
    high: float | None
    model_name: str | None = None
    model_version: str | None = None
    figures: dict[str, Any] = field(default_factory=dict)


def store_results(
    database: Database, results: Sequence[TargetResult], trained_at: datetime
) -> None:
    """Adds the answers to ``ml.target_models``."""
    with database.connect() as connection, connection.cursor() as cursor:
        cursor.executemany(
            "insert into ml.target_models (target, trained_at, status, reason, rows_used, outcomes,"
            " leads, base_rate, low, high, model_name, model_version, figures)"
            " values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)",
            [
                (
                    one.target, trained_at, one.status, one.reason, one.rows, one.outcomes,
                    one.leads, one.base_rate, one.low, one.high, one.model_name,
                    one.model_version, json.dumps(one.figures),
                )
                for one in results
            ],
        )  # fmt: skip
