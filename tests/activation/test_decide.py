"""Every candidate gets exactly one decision, and the right one, by an oracle of its own."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from hypothesis import given, settings
from hypothesis import strategies as st

from activation.decide import DecisionContext, decide, is_held_out
from activation.rulebook import current_rules
from activation.types import Candidate, Channel, ChannelState, ConsentRow, Reason, Verdict

NOW = datetime(2026, 6, 10, 16, 0, tzinfo=UTC)
RULES = current_rules()


@st.composite
def channel_states(draw: st.DrawFn, address: str) -> ChannelState:
    action = draw(st.sampled_from(["granted", "granted", "granted", "revoked", None]))
    return ChannelState(
        address=draw(st.sampled_from([address, address, address, None])),
        is_valid=draw(st.sampled_from([True, True, True, False])),
        is_dnd=draw(st.sampled_from([False, False, False, True])),
        is_suppressed=draw(st.sampled_from([False, False, False, True])),
        consent=ConsentRow(1, action, NOW - timedelta(days=9)) if action else None,
        address_opted_out=draw(st.sampled_from([False, False, False, True])),
    )


candidates = st.builds(
    Candidate,
    lead_id=st.integers(0, 10_000).map(lambda number: f"loc:{number}"),
    location_id=st.just("loc"),
    contact_id=st.just("c"),
    score=st.floats(0, 1),
    tier=st.just("hot"),
    rank=st.just(1),
    channels=st.fixed_dictionaries(
        {
            Channel.SMS: channel_states("+12125550123"),
            Channel.EMAIL: channel_states("a@example.com"),
        }
    ),
    timezone=st.sampled_from(["America/New_York", "America/Los_Angeles", None]),
    is_open=st.sampled_from([True, True, True, True, False]),
    duplicate_of=st.sampled_from([None, None, None, None, "loc:other"]),
    already_sent=st.sampled_from([False, False, False, False, True]),
    recent_sends=st.lists(
        st.timedeltas(timedelta(minutes=1), timedelta(days=9)).map(lambda ago: NOW - ago),
        max_size=4,
    ).map(tuple),
)
moments = st.integers(0, 31536000).map(
    lambda second: datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=second)
)
channel_lists = st.sampled_from(
    [[Channel.SMS], [Channel.EMAIL], [Channel.SMS, Channel.EMAIL], [Channel.EMAIL, Channel.SMS]]
)


def may_send(state: ChannelState) -> bool:
    """The law in one line, written anew."""
    return (
        state.consent is not None
        and state.consent.action == "granted"
        and not state.address_opted_out
        and not state.is_dnd
        and not state.is_suppressed
        and state.is_valid
        and bool(state.address)
    )


@settings(max_examples=400, deadline=None)
@given(candidate=candidates, now=moments, channels=channel_lists, share=st.floats(0, 0.5))
def test_one_decision_and_never_one_that_the_rules_forbid(
    candidate: Candidate, now: datetime, channels: list[Channel], share: float
) -> None:
    context = DecisionContext(now, channels, RULES, "campaign", share)
    decision = decide(candidate, context)
    allowed = [channel for channel in channels if may_send(candidate.channels[channel])]
    day = sum(1 for at in candidate.recent_sends if at > now - timedelta(hours=20))
    week = sum(1 for at in candidate.recent_sends if at > now - timedelta(days=7))
    barred = (
        not candidate.is_open
        or candidate.duplicate_of is not None
        or candidate.already_sent
        or not allowed
        or day >= 1
        or week >= 3
    )
    assert (decision.verdict is Verdict.SUPPRESS) == barred
    assert decision.sentence
    if barred:
        assert decision.address is None
        return
    held_out = is_held_out(candidate.lead_id, "campaign", share)
    assert (decision.verdict is Verdict.HOLDOUT) == held_out
    assert decision.channel == allowed[0]
    if held_out:
        assert decision.address is None
        return
    assert decision.address == candidate.channels[allowed[0]].address
    at = decision.send_at or now
    assert at >= now
    assert (decision.reason is Reason.QUIET_HOURS) == (decision.send_at is not None)
    if decision.channel is Channel.SMS:
        zones = {candidate.timezone or "America/New_York"}
        if candidate.channels[Channel.SMS].address:
            zones.add("America/New_York")  # the area of 212
        assert all(8 <= at.astimezone(ZoneInfo(zone)).hour < 21 for zone in zones)
    else:
        assert decision.send_at is None


@settings(max_examples=100, deadline=None)
@given(candidate=candidates, now=moments, share=st.floats(0, 0.5))
def test_the_same_question_gets_the_same_answer(
    candidate: Candidate, now: datetime, share: float
) -> None:
    context = DecisionContext(now, [Channel.SMS, Channel.EMAIL], RULES, "campaign", share)
    assert decide(candidate, context) == decide(candidate, context)


def test_the_holdout_has_its_share_and_differs_between_campaigns() -> None:
    leads = [f"loc:{number}" for number in range(20_000)]
    first = {lead for lead in leads if is_held_out(lead, "a", 0.1)}
    second = {lead for lead in leads if is_held_out(lead, "b", 0.1)}
    assert 1_850 < len(first) < 2_150
    assert 120 < len(first & second) < 280  # one in a hundred, if they are independent


def test_a_larger_holdout_keeps_whom_the_smaller_one_held_out() -> None:
    leads = [f"loc:{number}" for number in range(2_000)]
    assert {x for x in leads if is_held_out(x, "a", 0.1)} <= {
        x for x in leads if is_held_out(x, "a", 0.2)
    }


def test_the_weightiest_reason_is_given_where_both_channels_are_closed() -> None:
    bad_phone = ChannelState(None, is_valid=False)
    opted_out = ChannelState("a@example.com", is_valid=True, consent=ConsentRow(1, "revoked", NOW))
    candidate = Candidate(
        "loc:1", "loc", "1", 0.5, "hot", 1, {Channel.SMS: bad_phone, Channel.EMAIL: opted_out}
    )
    context = DecisionContext(NOW, [Channel.SMS, Channel.EMAIL], RULES, "campaign", 0)
    decision = decide(candidate, context)
    assert decision.reason is Reason.OPTED_OUT
    assert "2026-06-10" in decision.sentence


def test_a_location_without_a_sender_sends_nothing() -> None:
    state = ChannelState("a@example.com", is_valid=True, consent=ConsentRow(1, "granted", NOW))
    candidate = Candidate("loc:1", "loc", "1", 0.5, "hot", 1, {Channel.EMAIL: state})
    context = DecisionContext(NOW, [Channel.EMAIL], RULES, "c", 0, senders=frozenset())
    assert decide(candidate, context).reason is Reason.NO_SENDER
