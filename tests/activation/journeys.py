"""A sequence with branches, and histories to send it through, for tests and properties."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

from activation.journey import EventKind, JourneyEvent
from activation.sequence import Sequence, load_sequence
from activation.simulate import Consent, History
from activation.types import Channel

START = datetime(2026, 3, 2, 16, 0, tzinfo=UTC)
"""A Monday, eleven in the morning in New York."""

BRANCHED = """
name: Branched
description: Four steps with a branch of each kind.
stop_on: [reply, opt_out, appointment, won]
steps:
  - step: 1
    templates: {sms: quick_call.sms, email: quick_call.email}
    wait: 3 days
    branches:
      - when: click
        go_to: 3
      - when: {tier: [cold]}
        go_to: end
  - step: 2
    templates: {email: still_looking.email}
    wait: 2 business days
    branches:
      - when: {open: false, tier: [cool]}
        go_to: 4
  - step: 3
    templates: {sms: still_looking.sms, email: still_looking.email}
    wait: 1 week
  - step: 4
    templates: {sms: dormant_check_in.sms, email: dormant_check_in.email}
"""


def sequence_of(text: str, folder: Path, name: str = "made") -> Sequence:
    (folder / f"{name}.yaml").write_text(text)
    return load_sequence(name, folder)


def event(kind: str, days: float, value: str | None = None, known: float = 0) -> JourneyEvent:
    """Something that happens so many days after the start, and is known some days later."""
    at = START + timedelta(days=days)
    return JourneyEvent(
        EventKind(kind), at, f"test:{kind}:{days}", known_at=at + timedelta(days=known), value=value
    )


def history(*events: JourneyEvent, **changes: object) -> History:
    fields: dict[str, object] = {
        "lead_id": "loc1:a",
        "location_id": "loc1",
        "addresses": {Channel.SMS: "+12125550101", Channel.EMAIL: "a@example.com"},
        "timezone": "America/New_York",
        "consents": tuple(
            Consent(channel, "granted", START - timedelta(days=90)) for channel in Channel
        ),
        "events": events,
    }
    return History(**(fields | changes))  # type: ignore[arg-type]
