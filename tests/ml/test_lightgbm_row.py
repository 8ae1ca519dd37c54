"""LightGBM's single-row interface beside its Python package's own."""

import lightgbm as lgb
import numpy as np
import pytest

from ml.lightgbm_row import OneRow


@pytest.fixture(scope="module")
def matrix() -> np.ndarray:
    random = np.random.default_rng(5)
    found = random.normal(size=(600, 6))
    found[:, 5] = random.integers(0, 9, 600)
    found[random.random(found.shape) < 0.2] = np.nan
    return found


@pytest.fixture(scope="module")
def booster(matrix: np.ndarray) -> lgb.Booster:
    label = (np.nan_to_num(matrix[:, 0]) + np.isnan(matrix[:, 5]) > 0.3).astype(float)
    data = lgb.Dataset(matrix, label, categorical_feature=[5], params={"verbose": -1})
    return lgb.train({"objective": "binary", "verbose": -1}, data, num_boost_round=40)


@pytest.mark.parametrize("contributions", [False, True])
def test_one_row_has_the_bits_of_the_package(
    booster: lgb.Booster, matrix: np.ndarray, contributions: bool
) -> None:
    one = OneRow(booster.model_to_string(), booster.num_feature())
    matrix = np.vstack([matrix, np.full(6, np.nan), [0, -0.0, 1e300, -1e300, np.inf, 99]])
    expected = booster.predict(matrix, pred_contrib=contributions, raw_score=not contributions)
    found = [one.predict(row[None, :], contributions=contributions)[0] for row in matrix]
    assert np.array_equal(found, expected)


def test_a_row_of_another_width_is_refused(booster: lgb.Booster, matrix: np.ndarray) -> None:
    one = OneRow(booster.model_to_string(), booster.num_feature())
    for wrong in (matrix[:1, :5], matrix[:2]):
        with pytest.raises(ValueError, match="is not one row of 6 features"):
            one.predict(wrong, contributions=False)


def test_what_lightgbm_says_is_passed_on() -> None:
    with pytest.raises(lgb.basic.LightGBMError, match="Model"):
        OneRow("no model", 6)
