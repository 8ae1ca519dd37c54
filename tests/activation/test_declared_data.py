"""Rules, audiences and sequences are data: what ships is right, and mistakes say what is wrong."""

from datetime import UTC, datetime, time
from pathlib import Path

import pytest

from activation.audience import AudienceError, audience_names, load_audience
from activation.rulebook import RULES_DIR, RuleError, load_rules
from activation.sequence import SequenceError, load_sequence
from activation.types import Channel

NOW = datetime(2026, 6, 1, tzinfo=UTC)


def test_the_rules_that_ship() -> None:
    rules = load_rules()
    assert rules.hours(Channel.SMS, NOW) == (time(8), time(21))
    assert rules.hours(Channel.EMAIL, NOW) is None
    assert rules.needs_consent(Channel.SMS, NOW)
    assert rules.needs_consent(Channel.EMAIL, NOW)
    assert [cap.messages for cap in rules.caps(Channel.SMS, NOW)] == [1, 3]
    assert all(rule.source and rule.text for rule in rules.rules)
    assert load_rules().version == rules.version


def copy_rules(folder: Path, **extra: str) -> Path:
    for path in RULES_DIR.glob("*.yaml"):
        (folder / path.name).write_text(path.read_text())
    for name, text in extra.items():
        (folder / f"{name}.yaml").write_text(text)
    return folder


STRICTER = """
rules:
  - id: state-hours
    kind: quiet_hours
    channels: [sms]
    source: a state
    valid_from: {since}
    text: Narrower hours.
    parameters: {{earliest: "09:00", latest: "20:00"}}
"""


def test_the_strictest_of_two_rules_wins_from_its_first_day_on(tmp_path: Path) -> None:
    rules = load_rules(copy_rules(tmp_path, state=STRICTER.format(since="2026-06-01")))
    assert rules.hours(Channel.SMS, NOW) == (time(9), time(20))
    assert rules.hours(Channel.SMS, datetime(2026, 5, 31, tzinfo=UTC)) == (time(8), time(21))
    assert rules.version != load_rules().version


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("rules: [", "state.yaml, line 1: this is not YAML"),
        ("hello", "line 1: there is no list named 'rules'"),
        ("rules: [{id: x}]", "line 1: rule x, kind"),
        (STRICTER.format(since="someday"), "state.yaml, line 7: rule state-hours, valid_from"),
        (
            STRICTER.format(since="2026-01-01").replace('"20:00"', "20:00"),
            "line 9: rule state-hours, parameters.latest: .* in quotes",
        ),
        (
            STRICTER.format(since="2026-01-01").replace("state-hours", "tcpa-hours"),
            "line 3: .*used twice",
        ),
    ],
)
def test_a_wrong_rule_is_refused(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(RuleError, match=says):
        load_rules(copy_rules(tmp_path, state=text))


def test_without_a_consent_rule_nothing_is_decided(tmp_path: Path) -> None:
    (copy_rules(tmp_path) / "consent.yaml").unlink()
    with pytest.raises(RuleError, match="consent"):
        load_rules(tmp_path)


def test_the_audiences_that_ship() -> None:
    assert {"hottest", "recover_dormant"} <= set(audience_names())
    assert all(load_audience(name).description for name in audience_names())


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("where: [", "not YAML"),
        ("- a", "whole file"),
        ("description: x\nwhere: {tier: [hot]}", "where.tier"),
        ("description: x\nwhere: {min_score: 7}", "where.min_score"),
        ("where: {}", "description"),
    ],
)
def test_a_wrong_audience_names_its_field(tmp_path: Path, text: str, says: str) -> None:
    (tmp_path / "bad.yaml").write_text(text)
    with pytest.raises(AudienceError, match=says):
        load_audience("bad", tmp_path)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("steps: [", "not YAML"),
        ("name: x\ndescription: y\nsteps: []", "steps"),
        ("name: x\ndescription: y\nsteps: [{step: 2, templates: {sms: a.sms}}]", "numbered"),
        ("name: x\ndescription: y\nsteps: [{step: 1, templates: {fax: a}}]", "fax"),
        ("name: x\ndescription: y\nstop_on: [rain]\nsteps: [{step: 1, templates: {}}]", "stop_on"),
    ],
)
def test_a_wrong_sequence_names_its_field(tmp_path: Path, text: str, says: str) -> None:
    (tmp_path / "bad.yaml").write_text(text)
    with pytest.raises(SequenceError, match=says):
        load_sequence("bad", tmp_path)
