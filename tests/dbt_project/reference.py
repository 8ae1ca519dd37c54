"""The features once more, in plain Python, the slow and obvious way: what the SQL is held to."""

import datetime as dt
import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any
from zoneinfo import ZoneInfo

DAY = dt.timedelta(days=1)
Features = dict[str, Any]
# Of an agent, by UTC day: messages and calls in the seven days before it, and leads they went to.
AgentDays = Mapping[tuple[str, dt.date], tuple[int, int]]


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
    actor: str | None = None
    agent_id: str | None = None

    @property
    def by_agent(self) -> bool:
        """Whether a person of the team wrote or called."""
        return (
            self.event_type == "touch"
            and self.direction == "outbound"
            and self.actor == "agent"
            and self.agent_id is not None
        )


def features(
    created_at: dt.datetime,
    events: Sequence[Event],
    as_of: dt.datetime,
    *,
    timezone: str = "UTC",
    agent_days: AgentDays | None = None,
) -> Features:
    """Every feature that comes from events, at ``as_of``.

    Nothing that occurred, or became known, at ``as_of`` or later is looked at.

    Args:
        created_at: when the lead came in.
        events: the lead's, in any order.
        as_of: the moment, aware.
        timezone: of the lead's location, an IANA name.
        agent_days: see :func:`agent_days`; none: no agent did anything.
    """
    seen = [event for event in events if event.occurred_at < as_of and event.known_at < as_of]
    touches = sorted(
        (event for event in seen if event.event_type == "touch"),
        key=lambda event: (event.occurred_at, event.direction or ""),
    )
    inbound = [event for event in touches if event.direction == "inbound"]
    outbound = [event for event in touches if event.direction == "outbound"]
    calls = [event for event in touches if event.channel == "call"]
    interest = [
        event
        for event in seen
        if event.event_type == "email_clicked"
        or (event in calls and (event.direction == "inbound" or event.outcome == "answered"))
    ]
    written = [event for event in inbound if event.channel != "call"]
    in_vain = [
        event for event in outbound if event in calls and event.outcome not in ("answered", None)
    ]
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
        "reply_ratio_90d": _ratio(
            sum(e.occurred_at >= as_of - 90 * DAY for _, e in replies), len(within(outbound, 90))
        ),
        "email_open_ratio_90d": _ratio(
            len(within(of_type("email_opened"), 90)),
            sum(e.channel == "email" for e in within(outbound, 90)),
        ),
        "email_click_ratio_90d": _ratio(
            len(within(of_type("email_clicked"), 90)),
            sum(e.channel == "email" for e in within(outbound, 90)),
        ),
        "days_since_last_open": _since(of_type("email_opened"), as_of),
        "days_since_last_engagement": _since([*written, *interest], as_of),
        "days_since_last_call_or_click": _since(interest, as_of),
        "engagement_count_7d": len(within([*written, *interest], 7)),
        "engagement_count_30d": len(within([*written, *interest], 30)),
        "call_or_click_count_30d": len(within(interest, 30)),
        "touches_since_last_reply": sum(
            not inbound or event.occurred_at >= inbound[-1].occurred_at for event in outbound
        ),
        "calls_answered_count": sum(event.outcome == "answered" for event in calls),
        "calls_unanswered_count_7d": len(within(in_vain, 7)),
        "calls_unanswered_count_30d": len(within(in_vain, 30)),
        "days_since_last_unanswered_call": _since(in_vain, as_of),
        "talk_seconds_total": sum(event.duration_seconds or 0 for event in calls),
        "talk_seconds_90d": sum(event.duration_seconds or 0 for event in within(calls, 90)),
        "avg_lead_reply_hours": _mean_hours(replies),
        "avg_team_response_hours": _mean_hours(responses),
        "first_response_hours": (
            round((outbound[0].occurred_at - created_at).total_seconds()) / 3600
            if outbound and is_in
            else None
        ),
        "hours_awaiting_response": (
            _days(as_of - inbound[-1].occurred_at) * 24
            if inbound and touches[-1].direction == "inbound"
            else None
        ),
        "days_since_last_booking": _since(of_type("appointment_booked"), as_of),
        "opportunities_open_count": len(of_type("opportunity_created"))
        - len(of_type("opportunity_won", "opportunity_lost")),
    }  # fmt: skip
    for name, found in (("inbound", inbound), ("outbound", outbound)):
        result[f"{name}_count_total"] = len(found)
        for days in (7, 30, 90):
            recent = within(found, days)
            result[f"{name}_count_{days}d"] = len(recent)
            for channel in ("sms", "email", "call"):
                result[f"{channel}_{name}_count_{days}d"] = sum(
                    event.channel == channel for event in recent
                )
    counts = {
        status: len(of_type(f"appointment_{status}"))
        for status in ("booked", "kept", "no_show", "cancelled")
    }
    for status, count in counts.items():
        result[f"appointments_{status}_count"] = count
    result["appointment_no_show_ratio"] = _ratio(
        counts["no_show"], counts["kept"] + counts["no_show"]
    )
    result["appointments_pending_count"] = 2 * counts["booked"] - sum(counts.values())
    result |= _agent(outbound, as_of, agent_days or {})
    result |= _habits(inbound, ZoneInfo(timezone))
    result |= _returns(inbound, as_of)
    return result


def agent_days(leads: Mapping[str, Sequence[Event]]) -> AgentDays:
    """How busy each agent had been when a UTC day began, as it was known then.

    Args:
        leads: every event of each lead of one location.
    """
    seen: dict[tuple[str, dt.date], list[str]] = {}
    for lead_id, events in leads.items():
        for event in events:
            if not event.by_agent:
                continue
            occurred_on = event.occurred_at.astimezone(dt.UTC).date()
            for day in (occurred_on + number * DAY for number in range(1, 8)):
                if event.known_at.astimezone(dt.UTC).date() < day:
                    seen.setdefault((event.agent_id or "", day), []).append(lead_id)
    return {key: (len(found), len(set(found))) for key, found in seen.items()}


def _agent(outbound: Sequence[Event], as_of: dt.datetime, days: AgentDays) -> Features:
    made = [event for event in outbound if event.by_agent]
    last = max(
        made,
        key=lambda e: (round(e.occurred_at.timestamp()), e.agent_id or ""),
        default=None,
    )
    touches, leads = None, None
    if last is not None:
        day = as_of.astimezone(dt.UTC).date()
        touches, leads = days.get((last.agent_id or "", day), (0, 0))
    return {
        "agent_touch_count_90d": sum(e.occurred_at >= as_of - 90 * DAY for e in made),
        "agent_touch_share": _ratio(len(made), len(outbound)),
        "days_since_last_agent_touch": _since(made, as_of),
        "agent_touches_7d": touches,
        "agent_leads_7d": leads,
    }


def _habits(inbound: Sequence[Event], timezone: ZoneInfo) -> Features:
    clocks = [event.occurred_at.astimezone(timezone) for event in inbound]
    return {
        "inbound_evening_share": _ratio(sum(c.hour >= 18 for c in clocks), len(clocks)),
        "inbound_weekend_share": _ratio(sum(c.weekday() >= 5 for c in clocks), len(clocks)),
        "inbound_office_hours_share": _ratio(
            sum(9 <= c.hour < 17 and c.weekday() < 5 for c in clocks), len(clocks)
        ),
    }


def _returns(inbound: Sequence[Event], as_of: dt.datetime) -> Features:
    pairs = list(itertools.pairwise(inbound))
    silences = [round((b.occurred_at - a.occurred_at).total_seconds()) for a, b in pairs]
    returns = [b for (_, b), silence in zip(pairs, silences, strict=True) if silence > 30 * 86400]
    return {
        "longest_silence_days": max(silences) / 86400 if silences else None,
        "returns_count": len(returns),
        "days_since_last_return": _since(returns, as_of),
    }


def _ratio(part: int, whole: int) -> float | None:
    return part / whole if whole else None


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
