"""Sequence files: what ships is sound, and each mistake names file, line, field and remedy."""

from pathlib import Path

import pytest

from activation.sequence import (
    SEQUENCES_DIR,
    Sequence,
    SequenceError,
    load_sequence,
    read_sequence,
    sequence_names,
)
from tests.activation.journeys import BRANCHED, sequence_of

HEAD = "name: x\ndescription: y\nstop_on: [reply, opt_out]\n"
TWO = (
    HEAD + "steps:\n"
    "  - step: 1\n    templates: {sms: a.sms}\n    wait: 3 days\n"
    "  - step: 2\n    templates: {sms: b.sms}\n"
)


@pytest.mark.parametrize("name", sequence_names())
def test_every_sequence_that_ships_is_sound(name: str) -> None:
    sequence, findings = read_sequence(SEQUENCES_DIR / f"{name}.yaml")
    assert findings == []
    assert sequence is not None
    assert sequence.description


@pytest.mark.parametrize(
    ("text", "place", "says"),
    [
        (TWO.replace("3 days", "three days"), "line 7, column 5", "it is 'three days'"),
        (TWO.replace("3 days", "0 days"), "line 7", "wait"),
        (TWO.replace("wait: 3", "wait_for: 3"), "line 7, column 5", "steps.0.wait_for"),
        (TWO.replace("    wait: 3 days\n", ""), "line 5", "how long to wait"),
        (TWO + "    wait: 1 day\n", "line 10, column 5", "nothing to wait for"),
        (TWO + "    wait: 1 day\n    otherwise: 7\n", "line 11, column 5", "there is no step 7"),
        (TWO + "    otherwise: soon\n", "line 10, column 5", "steps.1.otherwise.*or.*'end'"),
        (TWO + "    wait: 1 day\n    otherwise: 1\n", "line 11", "a loop"),
        (TWO.replace("wait: 3 days", "otherwise: end"), "line 8", "nothing leads to step 2"),
        (TWO.replace("reply, opt_out", "reply"), "line 3, column 1", "opt-out"),
        (TWO.replace("reply, opt_out", "opt_out"), "line 5", "replies to step 1"),
        (
            TWO.replace("3 days", "3 days\n    branches: [{when: reply, go_to: end}]"),
            "line 8, column 17", "the sequence stops on reply",
        ),
        (
            TWO.replace("3 days", "3 days\n    branches: [{when: click, go_to: end}]"),
            "line 8", "sends no email",
        ),
        (
            TWO.replace("3 days", "3 days\n    branches: [{when: rain, go_to: end}]"),
            "line 8", "branches.0.when: there is no field 'rain'",
        ),
        (
            TWO.replace("3 days", "3 days\n    branches: [{when: {}, go_to: end}]"),
            "line 8", "at least one",
        ),
        (TWO + "name: again\n", "line 10, column 1", "'name' is given twice"),
        (TWO.replace("step: 2", "step: 5"), "line 1", "numbered 1, 2, 3"),
        ("steps: [", "line 1, column 9", "not YAML"),
    ],
)  # fmt: skip
def test_a_mistake_names_its_place(tmp_path: Path, text: str, place: str, says: str) -> None:
    (tmp_path / "bad.yaml").write_text(text)
    with pytest.raises(SequenceError, match=says) as caught:
        load_sequence("bad", tmp_path)
    assert f"bad.yaml, {place}" in caught.value.message
    assert caught.value.remedy


def test_all_mistakes_are_told_at_once(tmp_path: Path) -> None:
    (tmp_path / "bad.yaml").write_text(TWO.replace("3 days", "soon").replace("sms: b", "fax: b"))
    sequence, findings = read_sequence(tmp_path / "bad.yaml")
    assert sequence is None
    assert [finding.line for finding in findings] == [7, 9]


def test_a_sequence_is_the_same_after_it_was_stored(tmp_path: Path) -> None:
    sequence = sequence_of(BRANCHED, tmp_path)
    again = Sequence.from_text(sequence.as_text())
    assert again == sequence
    assert [list(step.templates) for step in again.steps] == [
        list(step.templates) for step in sequence.steps
    ]
    assert again.version == sequence.version
    for old, new in (
        ("3 days", "4 days"),
        ("{sms: quick_call.sms, email: quick_call.email}",
         "{email: quick_call.email, sms: quick_call.sms}"),
    ):  # fmt: skip
        assert sequence_of(BRANCHED.replace(old, new), tmp_path).version != sequence.version
