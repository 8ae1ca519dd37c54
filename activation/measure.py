"""Measures a batch against its holdout, and says plainly when it is too early to tell.

Everything is counted by the arm that was drawn, whether a message arrived or not. Intervals hold
however often one looks, see :mod:`activation.sequential`.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from psycopg.rows import dict_row

from activation import sequential
from activation.approve import BatchError
from activation.marts import reading_marts
from activation.queries import load_sql
from activation.verdict import Finding, say
from leadengine.clock import Clock
from warehouse.database import Database

CONVERSION_WINDOW = timedelta(days=sequential.WINDOW_DAYS)
FEWEST_PER_ARM = 30
FEWEST_DEALS = 10
_DAY = timedelta(days=1)
Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Arm:
    """One arm of a batch, in leads, to date. ``converted``: appointment kept or deal won."""

    leads: int = 0
    sent: int = 0
    delivered: int = 0
    replied: int = 0
    opted_out: int = 0
    appointments: int = 0
    won: int = 0
    converted: int = 0
    won_value_cents: int = 0

    @property
    def conversion_rate(self) -> float:
        """Share converted; 0 for an empty arm."""
        return self.converted / self.leads if self.leads else 0.0


@dataclass(frozen=True, slots=True)
class Effect:
    """A difference, send less holdout, as of the last whole day; in share of leads.

    Attributes:
        extra: how many leads of the arm sent to would not have done it otherwise.
        told_on_day: the first day on which the difference could be told from chance.
        converted: leads of both arms, by the last whole day.
        fewest_to_tell: converted leads that it takes at least to tell a success and a harm.
        false_alarm: probability of a false alarm up to this day, at most 5 %.
    """

    send_leads: int
    holdout_leads: int
    difference: float
    interval: tuple[float, float] | None
    extra: float
    extra_interval: tuple[float, float] | None
    told_on_day: int | None
    converted: int
    fewest_to_tell: int
    false_alarm: float


@dataclass(frozen=True, slots=True)
class Money:
    """Value of the deals won, in US cents; the interval is for the cents of one lead."""

    cents_per_lead: tuple[float, float]
    difference: float
    interval: tuple[float, float] | None
    extra_cents: int
    deals: int


@dataclass(frozen=True, slots=True)
class SampleRatio:
    """Whether the arms are as large as the share asked for makes them."""

    expected_share: float
    share: float
    p_value: float
    is_off: bool


@dataclass(frozen=True, slots=True)
class Contamination:
    """Leads reached from elsewhere before they spoke: ``batch`` by another batch's message."""

    holdout: dict[str, int]
    send: dict[str, int]
    without: Effect | None


@dataclass(frozen=True, slots=True)
class Measurement:
    """What a batch brought. ``lift`` and its interval are in share of leads."""

    batch_id: UUID
    status: str
    days: float
    send: Arm
    holdout: Arm
    sample_ratio: SampleRatio
    contamination: Contamination
    enough_data: bool
    lift: float | None
    interval: tuple[float, float] | None
    conversions: Effect | None
    appointments: Effect | None
    money: Money | None
    verdict: str
    lines: list[str] = field(default_factory=list)

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
            "select status, holdout_share, coalesce(approved_at, planned_at) as started_at"
            " from ops.batches where batch_id = %s",
            (batch_id,),
        ).fetchone()
        if batch is None:
            raise BatchError(
                f"There is no batch {batch_id}.", remedy="`leadengine batch plan` plans one."
            )
        with reading_marts():
            rows = cursor.execute(
                load_sql("measure"), {"batch_id": batch_id, "window": CONVERSION_WINDOW}
            ).fetchall()
    return judge(batch_id, batch, rows, now)


def judge(batch_id: UUID, batch: Row, rows: list[Row], now: datetime) -> Measurement:
    """What the leads of a batch say about it, as of ``now``.

    Args:
        batch_id: of the batch.
        batch: ``status``, ``holdout_share`` and ``started_at``.
        rows: a lead each, with the columns of ``sql/measure.sql``.
        now: later outcomes are left out.
    """
    rows = [row | {"converted_at": _converted_at(row, now)} for row in rows]
    started_at = batch["started_at"]
    days = max((now - started_at) / _DAY, 0.0)
    send, holdout = _arm(rows, "send", now), _arm(rows, "holdout", now)
    ratio = _sample_ratio(send.leads, holdout.leads, float(batch["holdout_share"]))
    missing = _missing(days, send, holdout)
    conversions = appointments = money = None
    if not missing:
        conversions = _effect(rows, started_at, days, lambda row: row["converted_at"])
        appointments = _effect(rows, started_at, days, lambda row: row["kept_at"])
        money = _money(rows, now)
    contamination = _contamination(rows, started_at, days, is_early=bool(missing))
    finding = Finding(days, missing, send, holdout, ratio, conversions, appointments, money,
                      contamination)  # fmt: skip
    verdict, lines = say(finding)
    return Measurement(
        batch_id=batch_id,
        status=str(batch["status"]),
        days=days,
        send=send,
        holdout=holdout,
        sample_ratio=ratio,
        contamination=contamination,
        enough_data=conversions is not None,
        lift=conversions.difference if conversions else None,
        interval=conversions.interval if conversions else None,
        conversions=conversions,
        appointments=appointments,
        money=money,
        verdict=verdict,
        lines=lines,
    )


def _converted_at(row: Row, now: datetime) -> datetime | None:
    moments = [at for at in (row["kept_at"], row["won_at"]) if at is not None and at <= now]
    return min(moments, default=None)


def _arm(rows: Sequence[Row], arm: str, now: datetime) -> Arm:
    mine = [row for row in rows if row["arm"] == arm]
    won = [row for row in mine if row["won_at"] is not None and row["won_at"] <= now]
    return Arm(
        leads=len(mine),
        sent=sum(row["is_sent"] for row in mine),
        delivered=sum(row["is_delivered"] for row in mine),
        replied=sum(row["replied"] for row in mine),
        opted_out=sum(row["opted_out"] for row in mine),
        appointments=sum(row["kept_at"] is not None and row["kept_at"] <= now for row in mine),
        won=len(won),
        converted=sum(row["converted_at"] is not None for row in mine),
        won_value_cents=sum(row["won_value_cents"] for row in won),
    )


def _sample_ratio(send: int, holdout: int, expected: float) -> SampleRatio:
    p_value = sequential.sample_ratio_p(send, holdout, expected)
    share = holdout / (send + holdout) if send + holdout else 0.0
    return SampleRatio(expected, share, p_value, p_value < sequential.SAMPLE_RATIO_ALARM)


def _missing(days: float, send: Arm, holdout: Arm) -> list[str]:
    missing = []
    if send.sent == 0:
        missing.append("nothing has been sent")
    if days < sequential.FIRST_LOOK_DAY:
        missing.append(f"{days:.0f} of {sequential.FIRST_LOOK_DAY} days have passed")
    if holdout.leads < FEWEST_PER_ARM:
        missing.append(f"{holdout.leads} held out, {FEWEST_PER_ARM} needed")
    if send.leads < FEWEST_PER_ARM:
        missing.append(f"{send.leads} chosen to be sent to, {FEWEST_PER_ARM} needed")
    conversions = send.converted + holdout.converted
    if conversions < sequential.FEWEST_CONVERSIONS:
        missing.append(f"{conversions} conversions, {sequential.FEWEST_CONVERSIONS} needed")
    return missing


def _effect(
    rows: Sequence[Row],
    started_at: datetime,
    days: float,
    moment: Callable[[Row], datetime | None],
) -> Effect | None:
    """The difference as of the last whole day; None without a look that counts."""
    whole = min(int(days), sequential.WINDOW_DAYS)
    counts = {"send": [0] * whole, "holdout": [0] * whole}
    leads = {"send": 0, "holdout": 0}
    for row in rows:
        leads[row["arm"]] += 1
        at = moment(row)
        if at is None:
            continue
        # Day 1 ends 24 hours after the start.
        day = -((started_at - at) // _DAY)
        if 1 <= day <= whole:
            counts[row["arm"]][day - 1] += 1
    send, holdout = _running(counts["send"]), _running(counts["holdout"])
    sizes = leads["send"], leads["holdout"]
    if min(sizes) == 0:
        return None
    looks = sequential.daily_looks(*sizes, [a + b for a, b in zip(send, holdout, strict=True)])
    if not looks or looks[-1].day != whole:
        return None
    seen = send[-1], holdout[-1]
    difference = seen[0] / sizes[0] - seen[1] / sizes[1]
    interval = sequential.exact_interval(looks[-1], *sizes, holdout)
    crossing = sequential.first_crossing(looks, holdout)
    return Effect(
        send_leads=sizes[0],
        holdout_leads=sizes[1],
        difference=difference,
        interval=interval,
        extra=difference * sizes[0],
        extra_interval=(interval[0] * sizes[0], interval[1] * sizes[0]) if interval else None,
        told_on_day=crossing.day if crossing else None,
        converted=sum(seen),
        fewest_to_tell=sequential.fewest_to_tell(*sizes),
        false_alarm=looks[-1].spent,
    )


def _running(counts: Sequence[int]) -> list[int]:
    total, sums = 0, []
    for count in counts:
        total += count
        sums.append(total)
    return sums


def _money(rows: Sequence[Row], now: datetime) -> Money | None:
    values: dict[str, list[int]] = {"send": [], "holdout": []}
    deals = 0
    for row in rows:
        is_won = row["won_at"] is not None and row["won_at"] <= now
        deals += is_won
        values[row["arm"]].append(row["won_value_cents"] if is_won else 0)
    send, holdout = values["send"], values["holdout"]
    if not send or not holdout:
        return None
    means = statistics.fmean(send), statistics.fmean(holdout)
    interval = None
    if deals >= FEWEST_DEALS:
        variance = statistics.variance([*send, *holdout])
        interval = sequential.mean_interval(means, variance, (len(send), len(holdout)), deals)
    difference = means[0] - means[1]
    return Money(means, difference, interval, round(difference * len(send)), deals)


def _contamination(
    rows: Sequence[Row], started_at: datetime, days: float, *, is_early: bool
) -> Contamination:
    found: dict[str, dict[str, int]] = {"send": {}, "holdout": {}}
    for row in rows:
        if row["touched_by"] is not None:
            kinds = found[row["arm"]]
            kinds[row["touched_by"]] = kinds.get(row["touched_by"], 0) + 1
    without = None
    if not is_early and (found["holdout"] or found["send"]):
        clean = [row for row in rows if row["touched_by"] is None]
        without = _effect(clean, started_at, days, lambda row: row["converted_at"])
    return Contamination(found["holdout"], found["send"], without)
