"""Fair housing: what is refused is named with its phrase, and ordinary talk of homes passes."""

import csv
import gzip
import json
import re
from string import ascii_lowercase, digits

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from activation.fair_housing import check, compiled, normalised
from activation.rule_model import FairHousingRule
from activation.rulebook import current_rules
from activation.templating import TEMPLATES_DIR
from tests.shared_folder import shared

RULES = [rule for rule in current_rules().rules if isinstance(rule, FairHousingRule)]
REFUSED = [
    (rule, str(example["refused"]), str(example["phrase"]))
    for rule in RULES
    for example in rule.examples
    if "refused" in example
]
ALLOWED = [
    str(example["allowed"]) for rule in RULES for example in rule.examples if "allowed" in example
]
PATTERNS = [pattern for rule in compiled(current_rules()) for pattern in rule.patterns]


@pytest.mark.parametrize(("rule", "text", "phrase"), REFUSED, ids=[text for _, text, _ in REFUSED])
def test_what_a_rule_says_it_refuses(rule: FairHousingRule, text: str, phrase: str) -> None:
    found = check(text)
    fitting = [finding for finding in found if finding.rule_id == rule.id]
    assert any(phrase in finding.phrase for finding in fitting), found
    assert all(finding.category == rule.parameters.category for finding in fitting)
    assert all(finding.why for finding in fitting)


@pytest.mark.parametrize("text", ALLOWED)
def test_what_a_rule_says_it_allows(text: str) -> None:
    assert check(text) == []


def test_each_rule_shows_both_sides() -> None:
    for rule in RULES:
        keys = {key for example in rule.examples for key in example}
        assert {"refused", "allowed"} <= keys, rule.id


@settings(max_examples=120, deadline=None)
@given(data=st.data())
def test_the_words_of_a_rule_let_none_of_its_phrases_by(data: st.DataObject) -> None:
    """``words`` is a sieve before the patterns: whatever a pattern matches must pass it."""
    pattern = data.draw(st.sampled_from(PATTERNS))
    alphabet = ascii_lowercase + digits + " -'+.,"
    text = normalised(data.draw(st.from_regex(pattern.exact, fullmatch=True, alphabet=alphabet)))
    if pattern.exact.search(text) is not None:
        assert pattern.loose.search(text) is not None
        assert set(re.findall("[a-z]+", text)) & pattern.words


@pytest.mark.parametrize(
    "text",
    [
        "NO KIDS",
        "no\n  kids",
        "no\u00a0kids",
        "no ki\u200bds",
        "<p>Sorry, <b>no</b> kids</p>",
        "\uff4e\uff4f kids",
        "Adults\u2013only building",
    ],
)
def test_no_way_of_writing_it_helps(text: str) -> None:
    assert [finding.category for finding in check(text)] == ["familial_status"]


def test_phrases_are_listed_in_order_and_once() -> None:
    found = check("Safe neighborhood, no kids. Really: no kids, good schools.")
    assert [finding.phrase for finding in found] == ["safe neighborhood", "no kids", "good schools"]


def test_the_templates_that_ship_are_fair() -> None:
    for path in TEMPLATES_DIR.rglob("*"):
        if path.is_file():
            assert check(path.read_text("utf-8")) == [], path.name


def test_people_looking_for_homes_are_not_taken_for_offenders() -> None:
    path = shared("data/property-dialogues/train.jsonl.gz")
    with gzip.open(path, "rt", encoding="utf-8") as file:
        turns = [turn["text"] for line in file for turn in json.loads(line)["turns"]]
    assert len(turns) > 10_000
    flagged = {text: check(text) for text in turns}
    # Said by us and not by the one who looks, this would prefer families: it is no false alarm.
    ours = (
        "Hello, I need to find an apartment suitable for a small family. It should have 4 bedrooms"
    )
    assert [text for text, found in flagged.items() if found] == [f"{ours} and 3 baths."]


def test_small_talk_is_hardly_ever_taken_for_an_offence() -> None:
    with shared("data/sms-messages/sms.csv").open(encoding="utf-8") as file:
        texts = [row["text"] for row in csv.DictReader(file) if row["label"] == "ham"]
    flagged = [text for text in texts if check(text)]
    assert len(flagged) <= len(texts) * 0.002, flagged
