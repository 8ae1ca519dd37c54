"""How many decisions a second one core makes: ``python benchmarks/rules.py [--small] [--write]``.

Candidates differ in zone, state, number, consent, lists and history. Of a brokerage's, most live in
one state and some anywhere with a number from anywhere; "scattered" are people of whom each is
anywhere, the worst case. The moment walks through a month, so that hours, Sundays, holidays and the
change of clocks all come up. Caches of areas and calendars are filled before, as they are after the
first seconds of a plan.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import random
import sys
import time
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path

# This checkout's packages; beside this file lies a module that has the name of one.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from activation.decide import DecisionContext, decide
from activation.fair_housing import check
from activation.places import states
from activation.rulebook import current_rules
from activation.types import Candidate, Channel, ChannelState, ConsentRow
from benchmarks.pages import DOCS, write_block

_ZONES = ["America/New_York", "America/Chicago", "America/Denver", "America/Los_Angeles", None]
_CHANNELS = [Channel.SMS, Channel.EMAIL]
_TEXT = (
    "Hi {name}, Kim at Bay Realty. You asked us about a 3-bedroom single-family home in {city} a"
    " while ago. Is a move still on your mind this year? Reply STOP to opt out."
)


def _candidates(count: int, now: datetime, at_home: float) -> list[Candidate]:
    rng = random.Random(1)
    codes = sorted(states())
    areas = sorted(area for state in states().values() for area in state.areas)
    found = []
    home = sorted(states()["FL"].areas)
    for number in range(count):
        is_home = rng.random() < at_home
        area = rng.choice(home if is_home else areas)
        phone = f"+1{area}{rng.randrange(200, 999)}{rng.randrange(10_000):04d}"
        granted = ConsentRow(1, "granted" if rng.random() < 0.9 else "revoked", now)
        sms = ChannelState(
            phone,
            is_valid=True,
            is_dnd=rng.random() < 0.03,
            consent=granted if rng.random() < 0.95 else None,
            do_not_call=("national",) if rng.random() < 0.05 else (),
            line_type=rng.choice([None, "mobile", "mobile", "landline"]),
        )
        found.append(
            Candidate(
                lead_id=f"loc:{number}",
                location_id="loc",
                contact_id=str(number),
                score=rng.random(),
                tier="hot",
                rank=number,
                channels={
                    Channel.SMS: sms,
                    Channel.EMAIL: ChannelState("a@example.com", is_valid=True, consent=granted),
                },
                timezone="America/New_York" if is_home else rng.choice(_ZONES),
                state="FL" if is_home else rng.choice([None, *codes]),
                recent_sends=(now - timedelta(hours=rng.randrange(1, 300)),)
                if rng.random() < 0.3
                else (),
            )
        )
    return found


def main() -> None:
    """Measures, prints a table and, on the last line, JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--small", action="store_true", help="a tenth of the size")
    parser.add_argument("--write", action="store_true", help="write into docs/compliance.md")
    options = parser.parse_args()
    size = 2_000 if options.small else 20_000
    start = datetime(2026, 3, 1, tzinfo=UTC)
    moments = [start + timedelta(hours=73 * step) for step in range(10)]
    rules = current_rules()
    speeds = {}
    reasons: Counter[str] = Counter()
    for name, at_home in (("brokerage", 0.9), ("scattered", 0.0)):
        people = _candidates(size, start, at_home)
        for is_timed in (False, True):
            began = time.process_time()
            for now in moments:
                context = DecisionContext(now, _CHANNELS, rules, "campaign", 0.1)
                found = [decide(person, context).reason.value for person in people]
                reasons.update(found if is_timed else ())
            if is_timed:
                speeds[name] = size * len(moments) / (time.process_time() - began)
    texts = [_TEXT.format(name=f"Ann{n}", city=f"Tampa{n}") for n in range(size // 4)]
    began = time.process_time()
    assert not any(check(text) for text in texts)
    checks = len(texts) / (time.process_time() - began)
    result = {
        "decisions_per_second": round(speeds["brokerage"]),
        "decisions_per_second_scattered": round(speeds["scattered"]),
        "fair_housing_checks_per_second": round(checks),
        "candidates": size,
        "moments": len(moments),
        "reasons": dict(reasons.most_common()),
        "cpus": os.cpu_count(),
        "python": platform.python_version(),
    }
    print(f"{'decisions/s, a brokerage':<34}{speeds['brokerage']:>12,.0f}")
    print(f"{'decisions/s, scattered people':<34}{speeds['scattered']:>12,.0f}")
    print(f"{'fair-housing checks/s':<34}{checks:>12,.0f}")
    print(f"one core of {os.cpu_count()}, Python {platform.python_version()}, CPU time")
    if options.write:
        write_block(
            DOCS / "compliance.md",
            "rules",
            f"A core makes {speeds['brokerage']:,.0f} decisions a second for a brokerage's people,"
            f"\n{speeds['scattered']:,.0f} where each lives anywhere, and checks"
            f" {checks:,.0f} texts for fair housing.",
        )
    print(json.dumps(result))


if __name__ == "__main__":
    main()
