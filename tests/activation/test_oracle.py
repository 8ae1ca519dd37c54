"""The rules against an oracle of their own (``oracle.py``): not one disagreement."""

import os
import random
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from activation.decide import DecisionContext, decide
from activation.rulebook import current_rules
from activation.types import Candidate, Channel, ChannelState, ConsentRow
from tests.activation.oracle import AREAS, NAMES, ZONES, Case, Ruling, Word, judge

NIGHTLY = os.environ.get("LEADENGINE_NIGHTLY") == "1"
BLOCKS = range(100 if NIGHTLY else 4)
CASES_OF_A_BLOCK = 10_000 if NIGHTLY else 1_500
RULES = current_rules()

TIMEZONES = [
    None, None, "UTC", "Mars/Olympus", "America/New_York", "America/New_York", "America/Chicago",
    "America/Denver", "America/Phoenix", "America/Los_Angeles", "America/Anchorage",
    "Pacific/Honolulu", "America/Puerto_Rico", "Europe/London", "Pacific/Guam",
]  # fmt: skip
STATES = [*ZONES, *NAMES, "fl", " Texas ", "ontario", "", None, None, None, None, None]
PHONES = [*(f"+1{area}5550123" for area in AREAS), "+18005550123", "+442079460123", "12", None]
# Around changes of clocks and holidays is where mistakes live.
DAYS = [
    datetime(*day, 12, tzinfo=UTC)
    for day in (
        (2024, 3, 10), (2024, 11, 3), (2025, 3, 9), (2025, 11, 2), (2026, 3, 8), (2026, 11, 1),
        (2023, 12, 31), (2025, 8, 31), (2024, 5, 31), (2023, 9, 30), (2026, 7, 3), (2026, 7, 24),
        (2026, 11, 26), (2026, 12, 25), (2027, 12, 31), (2026, 2, 17), (2026, 8, 10), (2026, 4, 3),
    )
]  # fmt: skip


AGES = [19, 20, 21, 23, 24, 25, 100, 167, 168, 169]


def moment(rng: random.Random) -> datetime:
    """Any second of five years, or one near a special day, or one at the brink of an hour."""
    if rng.random() < 0.5:
        at = datetime(2023, 1, 1, tzinfo=UTC) + timedelta(seconds=rng.randrange(5 * 365 * 86400))
    else:
        at = rng.choice(DAYS) + timedelta(seconds=rng.randrange(-2 * 86400, 3 * 86400))
    if rng.random() < 0.3:
        at = at.replace(minute=0, second=0) + timedelta(microseconds=rng.choice([-1, 0, 1]))
    return at


def word(rng: random.Random, address: str | None, channel: str) -> Word:
    return Word(
        said=rng.choice(["granted"] * 12 + ["revoked", None]),
        address=address,
        valid=rng.random() > 0.04,
        dnd=rng.random() < 0.04,
        suppressed=rng.random() < 0.04,
        address_said_no=rng.random() < 0.04,
        lists=rng.choice([()] * 20 + [("national",), ("internal",), ("state", "internal")]),
        line=rng.choice([None] * 12 + ["mobile", "nonFixedVoip", "landline", "tollFree"])
        if channel == "sms"
        else None,
    )


def draw(rng: random.Random) -> Case:
    now = moment(rng)
    ages = [
        timedelta(hours=rng.choice(AGES), seconds=rng.choice([-1, 0, 1]))
        for _ in range(rng.randrange(4))
    ]
    return Case(
        lead=f"loc:{rng.randrange(10**6)}",
        now=now,
        channels=rng.choice(
            [("sms",), ("sms",), ("sms", "email"), ("email", "sms"), ("email",)]
        ),
        words={
            "sms": word(rng, rng.choice(PHONES), "sms"),
            "email": word(rng, rng.choice(["a@example.com"] * 9 + [None]), "email"),
        },
        timezone=rng.choice(TIMEZONES),
        state=rng.choice(STATES),
        open=rng.random() > 0.02,
        duplicate=rng.random() < 0.02,
        had_step=rng.random() < 0.02,
        sends=[now - age for age in ages] if rng.random() < 0.3 else [],
        share=rng.choice([0.0, 0.0, 0.1]),
    )  # fmt: skip


def state_of(told: Word) -> ChannelState:
    return ChannelState(
        address=told.address,
        is_valid=told.valid,
        is_dnd=told.dnd,
        is_suppressed=told.suppressed,
        consent=ConsentRow(1, told.said, datetime(2022, 1, 1, tzinfo=UTC)) if told.said else None,
        address_opted_out=told.address_said_no,
        do_not_call=told.lists,
        line_type=told.line,
    )


def ours(case: Case) -> Ruling:
    """What ``decide`` says, in the oracle's words."""
    candidate = Candidate(
        lead_id=case.lead,
        location_id="loc",
        contact_id="c",
        score=0.5,
        tier="hot",
        rank=1,
        channels={Channel(name): state_of(told) for name, told in case.words.items()},
        timezone=case.timezone,
        state=case.state,
        is_open=case.open,
        duplicate_of="loc:other" if case.duplicate else None,
        already_sent=case.had_step,
        recent_sends=tuple(case.sends),
    )
    context = DecisionContext(
        case.now, [Channel(name) for name in case.channels], RULES, case.campaign, case.share
    )
    decision = decide(candidate, context)
    assert decision.sentence
    assert decision == decide(candidate, context)
    sends = decision.verdict == "send"
    assert decision.address == (case.words[decision.channel].address if sends else None)
    return Ruling(
        decision.verdict.value,
        decision.reason.value,
        decision.channel.value if decision.channel else None,
        decision.send_at,
    )


@pytest.mark.parametrize("seed", BLOCKS)
@pytest.mark.timeout(3600)
def test_no_disagreement(seed: int) -> None:
    rng = random.Random(seed)  # noqa: S311 - cases to test with, no secret
    verdicts = set()
    for number in range(CASES_OF_A_BLOCK):
        case = draw(rng)
        expected, found = judge(case), ours(case)
        assert found == expected, (seed, number, case)
        verdicts.add((found.verdict, found.reason))
    # The cases are worth their name: each outcome comes up.
    assert len(verdicts) >= 13


def test_the_rules_examples_hold() -> None:
    """What the files say of themselves: hours by local date and time, in the rule's first state."""
    from activation.hours import Schedule, is_allowed
    from activation.rule_model import HoursRule

    seen = 0
    for rule in RULES.rules:
        if not isinstance(rule, HoursRule):
            continue
        assert rule.examples, rule.id
        for example in rule.examples:
            zone = ZONES[rule.states[0]][0] if rule.states else "America/New_York"
            at = datetime.fromisoformat(f"{example['date']}T{example['time']}")
            allowed = is_allowed(at.replace(tzinfo=ZoneInfo(zone)), [zone], Schedule((rule,)))
            assert allowed == example["allowed"], (rule.id, example)
            seen += 1
    assert seen > 40
