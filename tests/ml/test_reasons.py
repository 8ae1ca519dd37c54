"""Reasons: exact, few, one of a theme, and said so that a broker understands."""

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from ml import reasons as module
from ml.fitting import FitOptions, fit
from ml.model import LeadModel
from ml.reasons import TOP, describe, reasons, sentence
from ml.warehouse_io import feature_names
from tests.ml.warehouse_rows import FEATURES, features_of

CATALOGUE = yaml.safe_load(Path(module.__file__).with_name("sentences.yaml").read_text())
PROJECT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    random = np.random.default_rng(1)
    rows = [features_of(random, float(random.uniform(1, 300))) for _ in range(3000)]
    frame = pd.DataFrame([row for row, _ in rows], columns=list(FEATURES))
    frame["label"] = (random.random(3000) < np.array([p for _, p in rows])).astype(float)
    return frame


@pytest.fixture(scope="module")
def model(frame: pd.DataFrame) -> LeadModel:
    label = frame["label"].to_numpy()
    return fit(frame, label, np.arange(len(frame)), FitOptions(exclude=("label",)))


def test_reasons_are_exact_few_and_of_different_themes(
    model: LeadModel, frame: pd.DataFrame
) -> None:
    rows = frame.head(200)
    matrix = model.schema.encode(rows)
    values = rows.astype(object).to_dict("records")
    contributions = model.contributions(matrix)
    for i, found in enumerate(reasons(model, matrix, values)):
        assert 0 < len(found) <= TOP
        themes = [CATALOGUE[reason["feature"]]["theme"] for reason in found]
        assert len(set(themes)) == len(themes)
        sizes = [abs(reason["contribution"]) for reason in found]
        assert sizes == sorted(sizes, reverse=True)
        assert sizes[0] == pytest.approx(np.abs(contributions[i, :-1]).max(), abs=1e-6)
        for reason in found:
            position = model.schema.names.index(reason["feature"])
            assert reason["contribution"] == pytest.approx(contributions[i, position], abs=1e-6)
            against = reason["sentence"].startswith("Against: ")
            assert against is (reason["contribution"] < 0)


def test_a_lead_that_replies_is_told_so(model: LeadModel, frame: pd.DataFrame) -> None:
    row = {**frame.iloc[0].to_dict(), "inbound_count_30d": 4, "inbound_count_7d": 2,
           "appointments_pending_count": 1}  # fmt: skip
    (found,) = reasons(model, model.schema.encode_row(row), [row])
    said = " ".join(reason["sentence"] for reason in found)
    assert "Has an appointment ahead" in said
    assert "wrote or called" in said.lower()


@pytest.mark.parametrize(
    ("feature", "value", "says"),
    [
        ("inbound_count_7d", 2, "Wrote or called twice this week"),
        ("inbound_count_7d", 0.0, "No message or call from the lead this week"),
        ("days_since_last_inbound", None, "Has never written or called"),
        ("days_since_last_inbound", 123.4, "Has not written or called for 123 days"),
        ("reply_ratio", 0.25, "Answers 25% of our messages"),
        ("talk_seconds_total", 61, "We have spoken for 1 minute on the phone"),
        ("price_max_cents", 45_000_000, "Price band up to $450,000"),
        ("lead_intent", "Sell", "Wants to sell"),
        ("source", float("nan"), "Came from an unknown source"),
        ("some_new_feature", 3, "Some new feature: 3"),
        ("some_new_feature", None, "Some new feature: not known"),
    ],
)
def test_values_in_words(feature: str, value: object, says: str) -> None:
    assert describe(feature, value) == says
    assert sentence(feature, value, 0.1) == says
    assert sentence(feature, value, -0.1) == f"Against: {says[0].lower()}{says[1:]}"


def test_every_feature_of_the_warehouse_has_sentences() -> None:
    text = (PROJECT / "dbt_project/models/marts/lead_features.yml").read_text()
    columns = [c["name"] for c in yaml.safe_load(text)["models"][0]["columns"]]
    features = set(feature_names(columns))
    assert features <= CATALOGUE.keys(), sorted(features - CATALOGUE.keys())


@pytest.mark.parametrize("feature", sorted(CATALOGUE))
def test_every_sentence_can_be_said(feature: str) -> None:
    entry = CATALOGUE[feature]
    bounds = [rule["upto"] for rule in entry["rules"] if "upto" in rule]
    assert bounds == sorted(bounds)
    textual = any("{text}" in rule["text"] for rule in entry["rules"])
    values = [None, "zillow"] if textual else [None, *bounds, max(bounds, default=0) + 1000]
    for value in values:
        said = describe(feature, value)
        assert not re.search(r"[{}]", said), said
        assert said[0] == said[0].upper()
