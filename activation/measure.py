"""Measures a batch against its holdout, and says plainly when it is too early to tell."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import psycopg
from psycopg.rows import dict_row

from activation.approve import BatchError
from activation.candidates import MartsMissingError
from activation.queries import load_sql
from leadengine.clock import Clock
from warehouse.database import Database

CONVERSION_WINDOW = timedelta(days=60)
# Below these an interval is so wide that a number would only mislead.
_FEWEST_PER_ARM = 30
_FEWEST_CONVERSIONS = 10
_FEWEST_DAYS = 14
_Z95 = 1.959964


@dataclass(frozen=True, slots=True)
class Arm:
    """One arm of a batch, in leads. ``converted``: appointment kept or deal won in the window."""

    leads: int = 0
    sent: int = 0
    delivered: int = 0
    replied: int = 0
    opted_out: int = 0
    converted: int = 0

    @property
    def conversion_rate(self) -> float:
        """Share converted; 0 for an empty arm."""
        return self.converted / self.leads if self.leads else 0.0


@dataclass(frozen=True, slots=True)
class Measurement:
    """What a batch brought. ``lift`` and its 95 % interval are in share of leads."""

    batch_id: UUID
    status: str
    days: float
    send: Arm
    holdout: Arm
    enough_data: bool
    lift: float | None
    interval: tuple[float, float] | None
    verdict: str

    def as_dict(self) -> dict[str, Any]:
        """The measurement, ready for JSON."""
        return {**asdict(self), "batch_id": str(self.batch_id)}


def measure_batch(database: Database, batch_id: UUID, clock: Clock) -> Measurement:
    """Counts what happened to those written to and to those held out.

    Raises:
        BatchError: there is no such batch.
        MartsMissingError: the marts have not been built.
    """
    now = clock.now()
    with database.connect() as connection, connection.cursor(row_factory=dict_row) as cursor:
        batch = cursor.execute(
            "select status, coalesce(approved_at, planned_at) as started_at"
            " from ops.batches where batch_id = %s",
            (batch_id,),
        ).fetchone()
        if batch is None:
            raise BatchError(
                f"There is no batch {batch_id}.", remedy="`leadengine batch plan` plans one."
            )
        try:
            rows = cursor.execute(
                load_sql("measure"), {"batch_id": batch_id, "window": CONVERSION_WINDOW}
            ).fetchall()
        except psycopg.errors.UndefinedTable as error:
            raise MartsMissingError(
                f"The marts have not been built: {str(error).splitlines()[0]}.",
                remedy="Run `leadengine run`, or the full_refresh job, first.",
            ) from error
    arms = {
        row["arm"]: Arm(**{key: int(value) for key, value in row.items() if key != "arm"})
        for row in rows
    }
    return _judge(
        batch_id,
        str(batch["status"]),
        batch["started_at"],
        now,
        arms.get("send", Arm()),
        arms.get("holdout", Arm()),
    )


def lift_interval(send: Arm, holdout: Arm) -> tuple[float, float]:
    """The 95 % interval of the difference in conversion, by Newcombe's hybrid score method.

    Newcombe (1998), Statistics in Medicine 17:873-890, method 10.
    """
    low_s, high_s = _wilson(send.converted, send.leads)
    low_h, high_h = _wilson(holdout.converted, holdout.leads)
    rate_s, rate_h = send.conversion_rate, holdout.conversion_rate
    lift = rate_s - rate_h
    return (
        lift - math.hypot(rate_s - low_s, high_h - rate_h),
        lift + math.hypot(high_s - rate_s, rate_h - low_h),
    )


def _judge(
    batch_id: UUID, status: str, started_at: datetime, now: datetime, send: Arm, holdout: Arm
) -> Measurement:
    days = max((now - started_at).total_seconds() / 86_400, 0.0)
    missing = _missing(days, send, holdout)
    counts = (
        f"{send.sent} of {send.leads} sent, {send.delivered} delivered, {send.replied} replied,"
        f" {send.opted_out} opted out, {send.converted} converted;"
        f" {holdout.converted} of {holdout.leads} held out converted."
    )
    if missing:
        verdict = f"Not enough data yet: {', '.join(missing)}. So far: {counts}"
        return Measurement(batch_id, status, days, send, holdout, False, None, None, verdict)
    lift = send.conversion_rate - holdout.conversion_rate
    interval = lift_interval(send, holdout)
    if interval[0] > 0:
        word = "The batch worked"
    elif interval[1] < 0:
        word = "The batch did harm"
    else:
        word = "No difference can be told from chance"
    verdict = (
        f"{word}: {lift * 100:+.1f} points of conversion against the holdout"
        f" (95 % between {interval[0] * 100:+.1f} and {interval[1] * 100:+.1f}). {counts}"
    )
    return Measurement(batch_id, status, days, send, holdout, True, lift, interval, verdict)


def _missing(days: float, send: Arm, holdout: Arm) -> list[str]:
    missing = []
    if send.sent == 0:
        missing.append("nothing has been sent")
    if days < _FEWEST_DAYS:
        missing.append(f"{days:.0f} of {_FEWEST_DAYS} days have passed")
    if holdout.leads < _FEWEST_PER_ARM:
        missing.append(f"{holdout.leads} held out, {_FEWEST_PER_ARM} needed")
    if send.leads < _FEWEST_PER_ARM:
        missing.append(f"{send.leads} chosen to be sent to, {_FEWEST_PER_ARM} needed")
    conversions = send.converted + holdout.converted
    if conversions < _FEWEST_CONVERSIONS:
        missing.append(f"{conversions} conversions, {_FEWEST_CONVERSIONS} needed")
    return missing


def _wilson(successes: int, total: int) -> tuple[float, float]:
    if total == 0:
        return 0.0, 1.0
    rate, square = successes / total, _Z95**2
    middle = (rate + square / (2 * total)) / (1 + square / total)
    half = (
        _Z95 * math.sqrt(rate * (1 - rate) / total + square / (4 * total**2)) / (1 + square / total)
    )
    return middle - half, middle + half
