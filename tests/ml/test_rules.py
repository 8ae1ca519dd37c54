"""Rules that must hold for any data: calibration, contributions, digests, tiers, figures."""

from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from sklearn import metrics as sk

from leadengine.errors import LeadEngineError
from ml.calibration import (
    LIMIT,
    Calibrator,
    fit_calibrator,
    fit_isotonic,
    fit_platt,
    logit,
    sigmoid,
)
from ml.evaluation import (
    average_precision,
    compare_with_truth,
    ece,
    evaluate,
    lift_at,
    paired_difference,
    roc_auc,
)
from ml.fitting import FitOptions, fit
from ml.model import TIERS, LeadModel, tier_thresholds
from ml.schema import (
    EMPTY,
    OTHER,
    PLACEHOLDER,
    Feature,
    Schema,
    encode_column,
    infer_schema,
    is_placeholder,
    parse_number,
)
from tests.ml.tables import HEADER, lead_rows

log_odds = arrays.arrays(np.float64, st.integers(1, 30), elements=st.floats(-20, 20, width=32))


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    return pd.DataFrame(lead_rows(600), columns=HEADER, dtype="str")


@pytest.fixture(scope="module")
def model(frame: pd.DataFrame) -> LeadModel:
    label = (frame["Converted"] == "1").to_numpy(dtype=float)
    return fit(frame, label, np.arange(len(frame)), FitOptions(exclude=("Converted", "Lead Id")))


@st.composite
def calibrators(draw: st.DrawFn) -> Calibrator:
    if draw(st.booleans()):
        return Calibrator("platt", (draw(st.floats(0, 3)), draw(st.floats(-5, 5))))
    # Fitted steps are never so narrow that a sum of contributions falls short of one.
    thousandths = draw(st.lists(st.integers(-9000, 9000), min_size=1, max_size=8, unique=True))
    x = [step / 1000 for step in sorted(thousandths)]
    y = sorted(draw(st.lists(st.floats(-9, 9), min_size=len(x), max_size=len(x))))
    return Calibrator("isotonic", tuple(x), tuple(y))


@given(calibrators(), log_odds)
def test_calibration_keeps_the_order_and_stays_a_probability(
    calibrator: Calibrator, raw: "np.ndarray[Any, Any]"
) -> None:
    probability = sigmoid(calibrator.log_odds(np.sort(raw)))
    assert np.all(np.diff(probability) >= 0)
    assert probability.min() >= 0
    assert probability.max() <= 1


@given(calibrators(), arrays.arrays(np.float64, (7, 5), elements=st.floats(-4, 4, width=32)))
def test_calibrated_contributions_sum_to_the_calibrated_log_odds(
    calibrator: Calibrator, raw: "np.ndarray[Any, Any]"
) -> None:
    calibrated = calibrator.contributions(raw)
    wanted = calibrator.log_odds(raw.sum(axis=1))
    np.testing.assert_allclose(calibrated.sum(axis=1), wanted, atol=1e-6)
    # No contribution changes its direction.
    assert np.all(calibrated[:, :-1] * raw[:, :-1] >= -1e-12)


@given(st.floats(-LIMIT, LIMIT))
def test_logit_and_sigmoid_are_inverse(value: float) -> None:
    assert logit(sigmoid(np.array([value])))[0] == pytest.approx(value, abs=1e-4)


@pytest.mark.parametrize("fitted", [fit_platt, fit_isotonic, lambda r, y: fit_calibrator(r, y, 1)])
def test_calibration_mends_overconfident_scores(fitted: Any) -> None:
    random = np.random.default_rng(0)
    true = random.normal(-1, 1, 6000)
    label = (random.random(6000) < sigmoid(true)).astype(float)
    overconfident = 2.5 * true + 1
    calibrator = fitted(overconfident[:3000], label[:3000])
    mended = sigmoid(calibrator.log_odds(overconfident[3000:]))
    assert ece(label[3000:], sigmoid(overconfident[3000:])) > 0.1
    assert ece(sigmoid(true[3000:]), mended) < 0.03


def test_isotonic_is_taken_where_a_line_cannot_do() -> None:
    random = np.random.default_rng(0)
    raw = random.uniform(-3, 3, 8000)
    label = (random.random(8000) < np.where(raw > 0, 0.6, 0.1)).astype(float)
    assert fit_calibrator(raw, label, 1).kind == "isotonic"


def test_a_score_that_points_the_wrong_way_is_flattened_not_turned() -> None:
    raw = np.linspace(-2, 2, 400)
    label = (raw < 0).astype(float)
    calibrator = fit_platt(raw, label)
    assert calibrator.x[0] == 0
    assert sigmoid(calibrator.log_odds(raw))[0] == pytest.approx(0.5, abs=0.01)


def test_contributions_sum_to_the_log_odds(model: LeadModel, frame: pd.DataFrame) -> None:
    matrix = model.schema.encode(frame)
    raw = model.raw_contributions(matrix)
    np.testing.assert_allclose(raw.sum(axis=1), model.raw_log_odds(matrix), atol=1e-6)
    calibrated = model.contributions(matrix)
    np.testing.assert_allclose(sigmoid(calibrated.sum(axis=1)), model.predict(matrix), atol=1e-9)
    assert len(model.members) == 2


def test_one_lead_gets_the_same_bits_as_in_a_batch(model: LeadModel, frame: pd.DataFrame) -> None:
    matrix = model.schema.encode(frame)
    batch = model.predict(matrix)
    for i in range(0, 600, 23):
        one = model.schema.encode_row(frame.iloc[i].to_dict())
        np.testing.assert_array_equal(one[0], matrix[i])
        assert model.predict(one)[0] == batch[i]
        assert model.digest(one[0]) == model.digest(matrix[i])


def test_a_model_survives_storage(model: LeadModel, frame: pd.DataFrame, tmp_path: Any) -> None:
    model.save(tmp_path)
    again = LeadModel.load(tmp_path)
    assert again.to_dict() == model.to_dict()
    np.testing.assert_array_equal(again.score(frame), model.score(frame))


vectors = arrays.arrays(
    np.float64, 5, elements=st.one_of(st.floats(-1e6, 1e6), st.just(float("nan")))
)


@settings(max_examples=50, suppress_health_check=[])
@given(vectors, st.integers(0, 4))
def test_the_digest_tells_vectors_apart(vector: "np.ndarray[Any, Any]", position: int) -> None:
    digest = DIGEST_MODEL.digest(vector)
    other_nan = np.where(np.isnan(vector), -np.float64("nan"), vector)
    assert DIGEST_MODEL.digest(other_nan) == digest
    changed = vector.copy()
    changed[position] = 0.5 if vector[position] != 0.5 else 0.25
    assert DIGEST_MODEL.digest(changed) != digest


DIGEST_MODEL = LeadModel(
    Schema(tuple(Feature(f"f{i}", "numeric") for i in range(5))),
    (),
    (),
    Calibrator("platt", (1.0, 0.0)),
    tier_thresholds(0.1),
)


@given(st.floats(0.001, 0.999))
def test_tiers_are_ranges_of_the_score(base_rate: float) -> None:
    model = LeadModel(
        DIGEST_MODEL.schema, (), (), DIGEST_MODEL.calibrator, tier_thresholds(base_rate)
    )
    tiers = [model.tier(float(score)) for score in np.linspace(0, 1, 500)]
    assert sorted(tiers, key=lambda tier: -TIERS.index(tier)) == tiers
    assert model.tier(0) == "cold"
    assert model.tier(1) == "hot"
    assert model.tier(base_rate) == "cool"


scores = arrays.arrays(
    np.float64, 40, elements=st.sampled_from([0.0, 0.1, 0.1, 0.25, 0.5, 0.75, 0.9, 1.0])
)
labels = arrays.arrays(np.float64, 40, elements=st.sampled_from([0.0, 1.0])).filter(
    lambda y: 0 < y.sum() < len(y)
)


@given(labels, scores)
def test_figures_agree_with_scikit_learn(
    label: "np.ndarray[Any, Any]", score: "np.ndarray[Any, Any]"
) -> None:
    found = evaluate(label, score, resamples=0)
    assert found.roc_auc == pytest.approx(sk.roc_auc_score(label, score))
    assert found.average_precision == pytest.approx(sk.average_precision_score(label, score))
    assert found.brier == pytest.approx(sk.brier_score_loss(label, score))
    assert 0 <= found.ece <= 1
    assert found.lift_at_10pct >= 0


def test_lift_of_a_perfect_and_of_a_constant_score() -> None:
    label = np.repeat([1.0, 0.0], [50, 150])
    assert lift_at(label, label) == pytest.approx(4.0)
    assert lift_at(label, np.full(200, 0.3)) == pytest.approx(1.0)


def test_intervals_resample_whole_leads() -> None:
    random = np.random.default_rng(2)
    score = np.repeat(random.random(60), 20)
    label = np.repeat((random.random(60) < score[::20]).astype(float), 20)
    by_row = evaluate(label, score, seed=1).intervals["roc_auc"]
    by_lead = evaluate(label, score, groups=np.repeat(np.arange(60), 20), seed=1)
    low, high = by_lead.intervals["roc_auc"]
    assert high - low > 2 * (by_row[1] - by_row[0])


def test_the_interval_of_the_calibration_error_holds_the_figure() -> None:
    random = np.random.default_rng(3)
    score = random.beta(1, 4, 4000)
    label = (random.random(4000) < score).astype(float)
    for said in (score, np.minimum(1, 1.4 * score)):
        found = evaluate(label, said)
        low, high = found.intervals["ece"]
        assert 0 <= low <= found.ece < high < found.ece + 0.03


def test_one_outcome_only_cannot_be_judged() -> None:
    with pytest.raises(LeadEngineError, match="one outcome only"):
        evaluate(np.zeros(5), np.full(5, 0.5))


def test_paired_difference_sees_a_worse_score() -> None:
    random = np.random.default_rng(4)
    true = random.random(3000)
    label = (random.random(3000) < true).astype(float)
    noisy = np.clip(true + random.normal(0, 0.3, 3000), 0, 1)
    difference, (low, high) = paired_difference(label, noisy, true, roc_auc)
    assert difference < 0
    assert high < 0
    assert low < difference < high
    worse_ap, _ = paired_difference(label, noisy, true, average_precision)
    assert worse_ap < 0


def test_comparison_with_the_truth() -> None:
    random = np.random.default_rng(4)
    true = random.beta(1, 8, 4000)
    label = (random.random(4000) < true).astype(float)
    perfect = compare_with_truth(true, true, label)
    assert (perfect.brier_ratio, perfect.ece) == (1.0, 0.0)
    assert perfect.rank_correlation == pytest.approx(1.0)
    doubled = compare_with_truth(np.minimum(1, 2 * true), true, label)
    assert doubled.brier_ratio is not None
    assert doubled.brier_ratio > 1
    assert doubled.ece == pytest.approx(float(true.mean()), rel=0.1)


def test_nothing_to_learn_gives_the_base_rate() -> None:
    random = np.random.default_rng(8)
    frame = pd.DataFrame({"a": random.normal(size=400), "b": random.choice(["x", "y"], 400)})
    label = (random.random(400) < 0.2).astype(float)
    score = fit(frame, label, np.arange(400), FitOptions()).score(frame)
    assert np.ptp(score) < 0.15
    assert score.mean() == pytest.approx(label.mean(), abs=0.03)


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        (["1", "2.5", "", "$1,200"], "numeric"),
        (["Yes", "No", "", "no"], "boolean"),
        (["0", "1", "1", ""], "boolean"),
        (["Google", "google", "Bing", "Select"], "categorical"),
        (["02139", "02140", "10001", "02139"], "categorical"),
        (["", "Select", "N/A", ""], "no value in any row"),
        (["x", "x", "x", "x"], "the same value in every row"),
        (["2024-01-05", "2024-02-01 10:00", "2024-03-01", "2024-01-09"], "a date"),
        (["a@example.com", "b@example.com", "a@example.com", ""], "personal data"),
    ],
)
def test_columns_are_told_by_their_values(values: list[str], kind: str) -> None:
    column = pd.DataFrame({"column": values * 20, "other": ["1", "2"] * 40}, dtype="str")
    schema = infer_schema(column)
    found = {f.name: f.kind for f in schema.features} | schema.dropped
    assert found["column"] == kind


@pytest.mark.parametrize(
    ("name", "used"),
    [("Email", False), ("First Name", False), ("phone_number", False), ("lastName", False),
     ("Do Not Email", True), ("Phone Calls", True), ("Email Opened", True)],
)  # fmt: skip
def test_personal_columns_are_told_by_name(name: str, used: bool) -> None:
    frame = pd.DataFrame({name: ["a", "b", "b", "c"] * 20, "n": range(80)})
    frame["m"] = [i % 7 for i in range(80)]
    assert (name in infer_schema(frame).names) is used


def test_identifiers_are_told_from_measures() -> None:
    random = np.random.default_rng(1)
    frame = pd.DataFrame(
        {
            "Lead Number": random.permutation(100) + 5000,
            "row": np.arange(100),
            "price": random.normal(size=100),
            "uuid": [f"{i:x}-{i}" for i in range(100)],
        }
    )
    assert infer_schema(frame).names == ("price",)


def test_rare_and_new_values_share_a_code() -> None:
    column = pd.Series(["a"] * 50 + ["b"] * 40 + ["rare"] * 2, dtype="str")
    (feature,) = infer_schema(pd.DataFrame({"c": column})).features
    assert feature.levels == ("a", "b")
    codes = encode_column(feature, pd.Series(["rare", "never seen", "", None, "Select", " A "]))
    assert codes.tolist() == [OTHER, OTHER, EMPTY, EMPTY, PLACEHOLDER, 3]


@pytest.mark.parametrize(
    "text",
    ["select", "-- select --", "select an option", "please choose", "choose one...", "n/a", "-"],
)
def test_placeholders(text: str) -> None:
    assert is_placeholder(text)


@pytest.mark.parametrize("text", ["selected homes", "choice properties", "no", "other", "0"])
def test_answers_are_not_placeholders(text: str) -> None:
    assert not is_placeholder(text)


@pytest.mark.parametrize(
    ("value", "number"),
    [
        ("1,200.50", 1200.5),
        ("1,234,567", 1234567),
        ("1,5", 1.5),
        ("$35", 35),
        (" 12 %", 12),
        (Decimal("1.10"), 1.1),
        (True, 1),
        (7, 7),
    ],
)
def test_numbers_are_read(value: Any, number: float) -> None:
    assert parse_number(value) == number


@pytest.mark.parametrize(
    "value", ["", "abc", None, "inf", float("nan"), "1e999", "1,2,3", object()]
)
def test_what_is_no_number_is_missing(value: Any) -> None:
    assert np.isnan(parse_number(value))


typed = st.one_of(st.none(), st.floats(allow_infinity=False), st.integers(-(2**53), 2**53))


@given(st.lists(typed, min_size=1, max_size=20))
def test_typed_and_single_values_encode_alike(values: list[Any]) -> None:
    feature = Feature("f", "numeric")
    column = pd.Series(values, dtype="float64")
    together = encode_column(feature, column)
    alone = [Schema((feature,)).encode_row({"f": value})[0, 0] for value in values]
    np.testing.assert_array_equal(together, np.array(alone))
    assert not np.signbit(together[together == 0]).any()
