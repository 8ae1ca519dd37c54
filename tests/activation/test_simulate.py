"""Replays: what goes out when, which branch and why; and what never happens, whatever comes."""

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from activation.history import HistoryError, lead_history, read_history
from activation.hours import NATIONWIDE, is_allowed, recipient_zones
from activation.journey import (
    EventKind,
    Journey,
    JourneyEvent,
    Standing,
    advance,
    after_wait,
)
from activation.rulebook import current_rules
from activation.sequence import Sequence, Wait
from activation.simulate import Consent, History, Replay, simulate
from activation.types import Channel
from tests.activation.journeys import BRANCHED, START, event, history, sequence_of
from tests.activation.marts import Lead, add_leads
from warehouse.database import Database

RULES = current_rules()


@pytest.fixture(scope="module")
def branched(tmp_path_factory: pytest.TempPathFactory) -> Sequence:
    return sequence_of(BRANCHED, tmp_path_factory.mktemp("sequences"))


def steps(replay: Replay) -> list[tuple[int, str, float]]:
    """Step, channel and day of each message."""
    return [
        (sent.step, sent.channel.value, round((sent.at - START) / timedelta(days=1), 2))
        for sent in replay.sent
    ]


def test_with_nothing_happening_every_step_goes_out_in_its_time(branched: Sequence) -> None:
    replay = simulate(branched, history(), START, RULES)
    # Thursday, then two business days on: Monday; daylight saving begins in between.
    assert steps(replay) == [
        (1, "sms", 0), (2, "email", 3), (3, "sms", 6.96), (4, "sms", 13.96),
    ]  # fmt: skip
    assert replay.journey.standing is Standing.COMPLETED


def test_a_click_leads_to_its_branch_with_the_evidence(branched: Sequence) -> None:
    replay = simulate(branched, history(event("click", 1)), START, RULES)
    assert [step for step, _, _ in steps(replay)] == [1, 3, 4]
    [branch] = [line for line in replay.lines if line.what.startswith("branch")]
    assert branch.what == "branch 1 of step 1: goes to step 3"
    assert "test:click:1" in branch.why


def test_a_cold_lead_is_left_alone(branched: Sequence) -> None:
    replay = simulate(branched, history(event("tier", 2, "cold")), START, RULES)
    assert [step for step, _, _ in steps(replay)] == [1]
    assert replay.journey.ended_by == "end_of_sequence"


def test_all_of_a_branch_must_hold_and_absence_is_evidence(branched: Sequence) -> None:
    cool = event("tier", -1, "cool")
    assert [s for s, _, _ in steps(simulate(branched, history(cool), START, RULES))] == [1, 2, 4]
    opened = history(cool, event("open", 4))
    assert [s for s, _, _ in steps(simulate(branched, opened, START, RULES))] == [1, 2, 3, 4]


@pytest.mark.parametrize("kind", ["reply", "opt_out", "appointment", "won"])
def test_what_stops_a_sequence_stops_it_and_is_named(branched: Sequence, kind: str) -> None:
    replay = simulate(branched, history(event(kind, 3.5)), START, RULES)
    assert [step for step, _, _ in steps(replay)] == [1, 2]
    assert replay.journey.ended_by == kind
    assert replay.journey.ended_at == START + timedelta(days=3.5)
    assert f"test:{kind}:3.5" in replay.lines[-1].why


def test_what_happened_before_the_start_stops_nothing(branched: Sequence) -> None:
    replay = simulate(branched, history(event("reply", -1)), START, RULES)
    assert len(replay.sent) == 4


def test_a_reply_that_is_learned_late_stops_from_then_on(branched: Sequence) -> None:
    replay = simulate(branched, history(event("reply", 2, known=2)), START, RULES)
    assert [step for step, _, _ in steps(replay)] == [1, 2]


def test_a_channel_that_closes_on_the_way_gives_way_to_the_next(branched: Sequence) -> None:
    revoked = Consent(Channel.SMS, "revoked", START + timedelta(days=1))
    granted = history().consents
    replay = simulate(branched, history(consents=(*granted, revoked)), START, RULES)
    assert [channel for _, channel, _ in steps(replay)] == ["sms", "email", "email", "email"]


def test_without_any_open_channel_it_ends_with_the_reason(branched: Sequence) -> None:
    replay = simulate(branched, history(consents=()), START, RULES)
    assert (replay.sent, replay.journey.ended_by) == ((), "no_consent")


def test_a_step_that_falls_into_the_night_waits_for_the_morning(branched: Sequence) -> None:
    late = datetime(2026, 3, 3, 3, 0, tzinfo=UTC)
    replay = simulate(branched, history(), late, RULES)
    local = replay.sent[0].at.astimezone(ZoneInfo("America/New_York"))
    assert (local.hour, local.minute) == (8, 0)
    # A reply in the night comes before the message that waits for the morning.
    answered = history(JourneyEvent(EventKind.REPLY, late + timedelta(hours=2), "test:reply"))
    assert simulate(branched, answered, late, RULES).sent == ()


def test_the_cap_over_all_sequences_delays_a_step(branched: Sequence) -> None:
    earlier = history(earlier_sends=(START - timedelta(hours=2),))
    replay = simulate(branched, earlier, START, RULES)
    assert replay.sent[0].at >= START + timedelta(hours=18)
    assert [step for step, _, _ in steps(replay)] == [1, 2, 3, 4]


@pytest.mark.parametrize(
    ("start", "wait", "over"),
    [
        # Friday before Presidents' Day: Monday is a holiday.
        ("2026-02-13T15:00", Wait(1, "business day"), "2026-02-17T15:00"),
        ("2026-03-06T15:00", Wait(1, "business day"), "2026-03-09T14:00"),
        ("2026-03-06T15:00", Wait(3, "day"), "2026-03-09T15:00"),
        ("2026-03-06T15:00", Wait(36, "hour"), "2026-03-08T03:00"),
        ("2026-03-06T15:00", Wait(2, "week"), "2026-03-20T15:00"),
    ],
)
def test_when_a_wait_is_over(start: str, wait: Wait, over: str) -> None:
    at = datetime.fromisoformat(start).replace(tzinfo=UTC)
    assert after_wait(at, wait, "America/New_York").isoformat()[:16] == over


def test_what_was_refused_is_not_repeated_and_what_was_capped_is(branched: Sequence) -> None:
    waiting = Journey(START, pending=1, pending_since=START)

    def outcome(kind: str, value: str) -> JourneyEvent:
        return JourneyEvent(EventKind(kind), START, "test", value=value, step=1)

    refused = advance(branched, waiting, [outcome("refused", "21211")], START)
    assert (refused.journey.step, refused.send) == (1, None)
    capped = advance(branched, waiting, [outcome("cancelled", "frequency_cap")], START)
    assert capped.send == 1
    dead = advance(branched, waiting, [outcome("cancelled", "batch_cancelled")], START)
    assert dead.journey.ended_by == "batch_cancelled"
    assert advance(branched, waiting, [], START).journey == waiting


# -- whatever happens ---------------------------------------------------------------------------

KINDS = st.sampled_from(["reply", "click", "open", "opt_out", "appointment", "won", "tier"])
DAYS = st.floats(-2, 30, allow_nan=False)


@st.composite
def events(draw: st.DrawFn) -> JourneyEvent:
    kind = draw(KINDS)
    value = draw(st.sampled_from(["hot", "warm", "cool", "cold"])) if kind == "tier" else None
    return event(kind, draw(DAYS), value, known=draw(st.sampled_from([0, 0, 0.1, 2])))


@st.composite
def histories(draw: st.DrawFn) -> History:
    area = draw(st.sampled_from(["+12125550101", "+13105550101", "+18085550101", "+18005550101"]))
    words = draw(
        st.lists(
            st.builds(
                lambda channel, action, days: Consent(channel, action, START + timedelta(days)),
                st.sampled_from(list(Channel)),
                st.sampled_from(["granted", "granted", "revoked"]),
                DAYS,
            ),
            max_size=4,
        )
    )
    addresses = {Channel.SMS: area, Channel.EMAIL: "a@example.com"}
    for channel in draw(st.sets(st.sampled_from(list(Channel)), max_size=1)):
        del addresses[channel]
    return history(
        *draw(st.lists(events(), max_size=5)),
        addresses=addresses,
        timezone=draw(st.sampled_from([None, *NATIONWIDE])),
        consents=(*history().consents, *words),
        earlier_sends=tuple(START + timedelta(days) for days in draw(st.lists(DAYS, max_size=3))),
    )


@st.composite
def sequences(draw: st.DrawFn) -> Sequence:
    """Sequences with branches of any shape that the checks allow."""
    count = draw(st.integers(1, 5))
    when = st.sampled_from(
        ["click", "open", {"open": False}, {"click": False}, {"tier": ["hot", "warm"]}]
    )
    made = []
    for number in range(1, count + 1):
        ahead = st.sampled_from([*range(number + 1, count + 1), "end"])
        branches = [
            {"when": draw(when), "go_to": draw(ahead)} for _ in range(draw(st.integers(0, 2)))
        ]
        follows = number < count or branches
        made.append(
            {
                "step": number,
                "templates": draw(
                    st.sampled_from(
                        [
                            {"sms": "a.sms"},
                            {"email": "a.email"},
                            {"sms": "a.sms", "email": "a.email"},
                        ]
                    )
                ),
                "wait": draw(st.sampled_from(["1 hour", "1 day", "3 days", "2 business days"]))
                if follows
                else None,
                "branches": branches,
                "otherwise": draw(st.sampled_from(["next", draw(ahead)])),
            }
        )
    stop_on = ["reply", "opt_out", *draw(st.sets(st.sampled_from(["appointment", "won"])))]
    return Sequence.model_validate(
        {"id": "made", "name": "x", "description": "x", "stop_on": stop_on, "steps": made}
    )


@given(sequences(), histories(), st.integers(0, 7 * 24))
@settings(max_examples=5_000 if os.environ.get("LEADENGINE_NIGHTLY") else 120, deadline=None)
def test_whatever_happens(sequence: Sequence, lead: History, hours: int) -> None:
    start = START + timedelta(hours=hours)
    replay = simulate(sequence, lead, start, RULES)
    numbers = [sent.step for sent in replay.sent]
    assert numbers == sorted(set(numbers)), "out of order, or a step twice"
    stops = [
        max(event.at, event.known_at or event.at)
        for event in lead.events
        if event.kind.value in sequence.stop_on and event.at >= start
    ]
    zones = recipient_zones(lead.timezone, lead.addresses.get(Channel.SMS))
    for sent in replay.sent:
        assert all(sent.at < stop for stop in stops), "sent after a stop"
        said = [w for w in lead.consents if w.channel is sent.channel and w.at <= sent.at]
        assert max(said, key=lambda w: (w.at, w.action)).action == "granted"
        hours_of = RULES.hours(sent.channel, sent.at)
        assert hours_of is None or is_allowed(sent.at, zones, hours_of), "sent in quiet hours"
    moments = sorted([*(s.at for s in replay.sent)])
    for cap in RULES.caps(Channel.SMS, start):
        for at in moments:
            within = [m for m in moments if at - cap.within < m <= at]
            assert len(within) <= cap.messages, "above the cap"
    assert simulate(sequence, lead, start, RULES) == replay, "a replay is the same each time"


@given(sequences(), histories())
@settings(max_examples=40, deadline=None)
def test_asking_again_changes_nothing(sequence: Sequence, lead: History) -> None:
    first = advance(sequence, Journey(START), lead.events, START)
    again = advance(sequence, first.journey, lead.events, START)
    assert again.send is None
    assert again.journey == first.journey


# -- where histories come from ------------------------------------------------------------------

FILE = """
start: 2026-03-02T16:00:00Z
timezone: America/New_York
addresses: {sms: "+12125550101", email: a@example.com}
consents:
  - {channel: sms, action: granted, at: 2025-12-01T00:00:00Z}
  - {channel: email, action: granted, at: 2025-12-01T00:00:00Z}
events:
  - {kind: click, at: 2026-03-03T16:00:00Z}
  - {kind: reply, at: 2026-03-06T16:00:00Z}
"""


def test_a_history_file_is_replayed(branched: Sequence, tmp_path: Path) -> None:
    path = tmp_path / "ann.yaml"
    path.write_text(FILE)
    lead, start = read_history(path)
    replay = simulate(branched, lead, start, RULES)
    assert [step for step, _, _ in steps(replay)] == [1, 3]
    assert "ann.yaml, event 2" in replay.lines[-1].why
    path.write_text(FILE.replace("kind: click", "kind: clack"))
    with pytest.raises(HistoryError, match=r"ann\.yaml, line 9, column 6: events\.0\.kind"):
        read_history(path)


def test_a_lead_of_the_database_is_replayed(branched: Sequence, mart_db: Database) -> None:
    now = START + timedelta(days=3)
    add_leads(mart_db, [Lead("a", phone="+12125550101")], now=now)
    with mart_db.connect() as connection:
        connection.execute(
            "insert into marts.fct_communications values ('r1', 'loc1:a', 'loc1', 'sms',"
            " 'inbound', %s, %s)",
            (now, now),
        )
        lead = lead_history(connection, "loc1:a", START)
        with pytest.raises(HistoryError, match="loc1:zz"):
            lead_history(connection, "loc1:zz", START)
    replay = simulate(branched, lead, START, RULES)
    assert [step for step, _, _ in steps(replay)] == [1]
    assert (replay.journey.ended_by, replay.journey.ended_at) == ("reply", now)
