"""The features once more, in plain Python, the slow and obvious way: what the SQL is held to."""

import datetime as dt
import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

DAY = dt.timedelta(days=1)
Features = dict[str, Any]


@dataclass(frozen=True)
class Event:
    """A row of the timeline, as far as features look at it."""

    event_type: str
    occurred_at: dt.datetime
    known_at: dt.datetime
    channel: str | None = None
    direction: str | None = None
    outcome: str | None = None
    duration_seconds: int | None = None


def features(created_at: dt.datetime, events: Sequence[Event], as_of: dt.datetime) -> Features:
    """Every feature that comes from events, at ``as_of``.

    Nothing that occurred, or became known, at ``as_of`` or later is looked at.
    """
    seen = [event for event in events if event.occurred_at < as_of and event.known_at < as_of]
    touches = sorted(
        (event for event in seen if event.event_type == "touch"),
        key=lambda event: (event.occurred_at, event.direction or ""),
    )
    inbound = [event for event in touches if event.direction == "inbound"]
    outbound = [event for event in touches if event.direction == "outbound"]
    calls = [event for event in touches if event.channel == "call"]
    pairs = list(itertools.pairwise(touches))
    replies = [pair for pair in pairs if [e.direction for e in pair] == ["outbound", "inbound"]]
    responses = [pair for pair in pairs if [e.direction for e in pair] == ["inbound", "outbound"]]
    is_in = created_at < as_of

    def of_type(*names: str) -> list[Event]:
        return [event for event in seen if event.event_type in names]

    def within(found: list[Event], days: int) -> list[Event]:
        return [event for event in found if event.occurred_at >= as_of - days * DAY]

    result: Features = {
        "days_since_created": _days(as_of - created_at) if is_in else None,
        "days_since_last_touch": _since(touches, as_of),
        "days_since_last_inbound": _since(inbound, as_of),
        "days_since_last_outbound": _since(outbound, as_of),
        "days_dormant": _since(inbound, as_of) if inbound else (
            _days(as_of - created_at) if is_in else None
        ),
        "email_open_count_90d": len(within(of_type("email_opened"), 90)),
        "email_click_count_90d": len(within(of_type("email_clicked"), 90)),
        "reply_ratio": len(replies) / len(outbound) if outbound else None,
        "touches_since_last_reply": sum(
            not inbound or event.occurred_at > inbound[-1].occurred_at for event in outbound
        ),
        "calls_answered_count": sum(event.outcome == "answered" for event in calls),
        "talk_seconds_total": sum(event.duration_seconds or 0 for event in calls),
        "talk_seconds_90d": sum(event.duration_seconds or 0 for event in within(calls, 90)),
        "avg_lead_reply_hours": _mean_hours(replies),
        "avg_team_response_hours": _mean_hours(responses),
        "first_response_hours": (
            round((outbound[0].occurred_at - created_at).total_seconds()) / 3600
            if outbound and is_in
            else None
        ),
        "days_since_last_booking": _since(of_type("appointment_booked"), as_of),
        "opportunities_open_count": len(of_type("opportunity_created"))
        - len(of_type("opportunity_won", "opportunity_lost")),
    }  # fmt: skip
    for name, found in (("inbound", inbound), ("outbound", outbound)):
        result[f"{name}_count_total"] = len(found)
        for days in (7, 30, 90):
            result[f"{name}_count_{days}d"] = len(within(found, days))
        for channel in ("sms", "email", "call"):
            result[f"{channel}_{name}_count_90d"] = sum(
                event.channel == channel for event in within(found, 90)
            )
    counts = {
        status: len(of_type(f"appointment_{status}"))
        for status in ("booked", "kept", "no_show", "cancelled")
    }
    for status, count in counts.items():
        result[f"appointments_{status}_count"] = count
    result["appointments_pending_count"] = 2 * counts["booked"] - sum(counts.values())
    return result


def _days(span: dt.timedelta) -> float:
    return round(span.total_seconds()) / 86400


def _since(events: Sequence[Event], as_of: dt.datetime) -> float | None:
    if not events:
        return None
    return _days(as_of - max(event.occurred_at for event in events))


def _mean_hours(pairs: Sequence[tuple[Event, Event]]) -> float | None:
    if not pairs:
        return None
    seconds = sum(round((b.occurred_at - a.occurred_at).total_seconds()) for a, b in pairs)
    return float(Fraction(seconds, len(pairs) * 3600))
