"""The candidates: the same search twice, and scikit-learn's trees as LightGBM has them."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.ensemble import HistGradientBoostingClassifier

from leadengine.errors import LeadEngineError
from ml import search
from ml.fitting import FitOptions, _blend, fit
from ml.model import LeadModel
from ml.schema import FIRST_LEVEL, Feature, Matrix, Schema
from ml.search import Candidate
from ml.sklearn_trees import as_booster


def table(seed: int, rows: int = 900) -> tuple[pd.DataFrame, Matrix]:
    random = np.random.default_rng(seed)
    frame = pd.DataFrame(
        {
            "visits": np.where(random.random(rows) < 0.2, np.nan, random.poisson(3, rows)),
            "budget": random.lognormal(3, 1, rows),
            "town": random.choice([f"t{i}" for i in range(45)], rows),
            "source": random.choice(["google", "direct", ""], rows),
        }
    )
    odd = frame["town"].str[1:].astype(int) % 3 == 0
    log_odds = 0.5 * frame["visits"].fillna(5) + 1.2 * odd - 2.2 + 0.6 * (frame["source"] == "")
    return frame, (random.random(rows) < 1 / (1 + np.exp(-log_odds))).astype(float)


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 10_000), st.integers(2, 12), st.booleans())
def test_scikit_learns_trees_survive_the_change_of_library(
    seed: int, leaves: int, categories: bool
) -> None:
    random = np.random.default_rng(seed)
    features = (
        Feature("a", "numeric"),
        Feature("b", "categorical", tuple(f"v{i}" for i in range(40 * categories))),
        Feature("c", "boolean"),
    )
    schema = Schema(features if categories else (features[0], features[2]))
    columns = [random.normal(size=600), random.integers(0, 43, 600), random.integers(0, 2, 600)]
    matrix = np.column_stack(columns if categories else [columns[0], columns[2]]).astype(float)
    matrix[random.random(600) < 0.2, 0] = np.nan
    label = (random.random(600) < 1 / (1 + np.exp(-np.nan_to_num(matrix[:, 0], nan=1)))).astype(int)
    # Some codes come up only where the model is applied.
    seen = ~np.isin(matrix[:, 1], (0, 5, 17)) if categories else np.ones(600, dtype=bool)
    model = HistGradientBoostingClassifier(
        max_iter=15,
        max_leaf_nodes=leaves,
        categorical_features=schema.categorical or None,
        random_state=0,
    ).fit(matrix[seen], label[seen])
    booster = as_booster(model, schema, matrix[seen])
    everywhere = model.decision_function(matrix)
    np.testing.assert_allclose(booster.predict(matrix, raw_score=True), everywhere, atol=1e-9)
    explained = np.asarray(booster.predict(matrix, pred_contrib=True))
    np.testing.assert_allclose(explained.sum(axis=1), everywhere, atol=1e-9)
    assert FIRST_LEVEL == 3


def test_trees_that_are_not_as_thought_are_not_served(monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(1)
    matrix = random.normal(size=(300, 2))
    label = (matrix[:, 0] > 0).astype(int)
    schema = Schema((Feature("a", "numeric"), Feature("b", "numeric")))
    model = HistGradientBoostingClassifier(max_iter=3, random_state=0).fit(matrix, label)
    assert as_booster(model, schema, matrix).num_trees() == 3
    monkeypatch.setattr(model, "decision_function", lambda rows: rows[:, 0])
    with pytest.raises(LeadEngineError, match="log-odds differ by"):
        as_booster(model, schema, matrix)


@pytest.fixture(scope="module")
def searched() -> tuple[LeadModel, pd.DataFrame, Matrix]:
    patch = pytest.MonkeyPatch()
    patch.setattr(search, "MOST_TRIALS", 4)
    patch.setattr(search, "SKLEARN_CELLS", 100_000)
    frame, label = table(1)
    model = fit(frame, label, np.arange(len(label)), FitOptions())
    patch.undo()
    return model, frame, label


def test_every_kind_of_candidate_is_compared(searched: Any) -> None:
    model, _, _ = searched
    candidates = model.training["candidates"]
    assert set(candidates) == {"logistic", "boosting", "sklearn"}
    assert sum(c["weight"] for c in candidates.values()) == pytest.approx(1)
    assert candidates["boosting"]["trials"] == 4
    for found in candidates.values():
        assert found["cv_log_loss"] < model.training["prior_log_loss"]
    assert 20 <= candidates["sklearn"]["rounds"] <= 400


def test_the_same_data_and_seed_give_the_same_model(
    searched: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, frame, label = searched
    monkeypatch.setattr(search, "MOST_TRIALS", 4)
    monkeypatch.setattr(search, "SKLEARN_CELLS", 100_000)
    again = fit(frame, label, np.arange(len(label)), FitOptions())
    assert again.to_dict() == model.to_dict()


def test_scikit_learns_trees_are_stored_served_and_explained(searched: Any, tmp_path: Any) -> None:
    model, frame, label = searched
    matrix = model.schema.encode(frame)
    folds = [(np.arange(0, 600), np.arange(600, 900)), (np.arange(300, 900), np.arange(0, 300))]
    patch = pytest.MonkeyPatch()
    patch.setattr(search, "SKLEARN_CELLS", 100_000)
    candidate = search.try_sklearn(model.schema, matrix, label, folds, 3)
    patch.undo()
    assert candidate is not None
    member = search.refit_sklearn(candidate, model.schema, matrix, label)
    served = LeadModel(model.schema, (member,), (1.0,), model.calibrator, model.tiers)
    served.save(tmp_path)
    again = LeadModel.load(tmp_path)
    np.testing.assert_array_equal(again.score(frame), served.score(frame))
    one = again.schema.encode_row(frame.iloc[5].to_dict())
    assert again.predict(one)[0] == served.score(frame)[5]
    raw = served.raw_contributions(matrix)
    np.testing.assert_allclose(raw.sum(axis=1), served.raw_log_odds(matrix), atol=1e-9)


def test_a_member_that_adds_nothing_is_left_out() -> None:
    random = np.random.default_rng(2)
    true = random.normal(size=4000)
    label = (random.random(4000) < 1 / (1 + np.exp(-true))).astype(float)
    copies = [Candidate(name, true.copy(), {}, 0.0) for name in "abc"]
    assert sorted(_blend(copies, label)) == [0.0, 0.0, 1.0]
    halves = [
        Candidate("a", 2 * np.where(true > 0, true, 0), {}, 0.0),
        Candidate("b", 2 * np.where(true < 0, true, 0), {}, 0.0),
    ]
    assert _blend(halves, label) == pytest.approx([0.5, 0.5], abs=0.11)


def test_few_outcomes_are_not_searched() -> None:
    _, label = table(3, 300)
    assert search._trials(np.zeros((300, 4)), label) == 1
    assert search._trials(np.zeros((20_000, 74)), np.tile([0.0, 1.0], 10_000)) == 1
