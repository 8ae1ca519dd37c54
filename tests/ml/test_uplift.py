"""The effect of a touch: told where the draw tells, and "no evidence yet" where it does not."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from leadengine.settings import Settings
from ml import tracking
from ml.uplift.evidence import AVERAGE, NO_EVIDENCE, TARGETED, counted, learn_uplift
from ml.uplift.learners import LEARNERS
from ml.uplift.model import UpliftModel, fit_line
from ml.uplift.qini import average_effect, qini, qini_curve
from ml.uplift.registry import load_uplift, register_uplift

FAST = ("transformed_outcome", "proportional")


def experiment(
    rows: int, effect: float, seed: int = 1, *, targeted: bool = True
) -> tuple[pd.DataFrame, np.ndarray, np.ndarray, np.ndarray]:
    """Leads of whom those with replies gain; features, draw, outcome and true effect."""
    random = np.random.default_rng(seed)
    frame = pd.DataFrame(
        {
            "replies": random.poisson(1.0, rows).astype(float),
            "days_dormant": random.uniform(0, 300, rows),
            "source": random.choice(["zillow", "referral", "website"], rows),
        }
    )
    frame.loc[random.random(rows) < 0.1, "days_dormant"] = np.nan
    gains = (frame["replies"] >= 1).to_numpy() if targeted else np.ones(rows, dtype=bool)
    true = effect * gains
    treated = (random.random(rows) < 0.7).astype(float)
    base = 0.1 + 0.15 * (frame["source"] == "referral").to_numpy()
    outcome = (random.random(rows) < base + treated * true).astype(float)
    return frame, treated, outcome, true


def test_whom_a_touch_helps_is_found_where_it_is_so() -> None:
    frame, treated, outcome, true = experiment(6000, 0.2)
    evidence, model = learn_uplift(frame, treated, outcome, learners=FAST, resamples=60)
    assert evidence.verdict == TARGETED, evidence.reason
    assert evidence.judged is not None
    assert evidence.judged.low > 0
    assert model is not None
    value, low, high = model.effects(frame)
    assert np.corrcoef(value, true)[0, 1] > 0.7
    assert value.mean() == pytest.approx(true.mean(), abs=0.03)
    assert (low < value).all()
    assert (value < high).all()


def test_an_effect_that_is_the_same_for_all_is_an_average() -> None:
    frame, treated, outcome, _ = experiment(5000, 0.15, 2, targeted=False)
    evidence, model = learn_uplift(
        frame, treated, outcome, learners=("transformed_outcome",), resamples=60
    )
    assert (evidence.verdict, model) == (AVERAGE, None), evidence.reason
    assert evidence.effect is not None
    assert evidence.effect.low < 0.15 < evidence.effect.high


def test_no_effect_is_no_evidence_yet() -> None:
    frame, treated, outcome, _ = experiment(4000, 0.0, 3)
    evidence, model = learn_uplift(frame, treated, outcome, learners=FAST, resamples=60)
    assert (evidence.verdict, model) == (NO_EVIDENCE, None), evidence.reason
    assert "no evidence yet" in evidence.reason.lower()


def test_too_few_held_out_is_said_with_the_numbers() -> None:
    frame, treated, outcome, _ = experiment(400, 0.5, 4)
    evidence, model = learn_uplift(frame, treated, outcome)
    assert model is None
    assert evidence.verdict == NO_EVIDENCE
    assert f"{int((1 - treated).sum())} held out" in evidence.reason
    assert counted(np.array([]), np.array([])) is not None


@pytest.mark.slow
def test_every_learner_finds_a_plain_effect() -> None:
    frame, treated, outcome, true = experiment(4000, 0.3, 5)
    from ml.schema import infer_schema
    from ml.uplift.evidence import Inputs, cross_fitted

    x = Inputs.of(infer_schema(frame), frame).linear
    for name, learner in LEARNERS.items():
        learnt = cross_fitted(learner, x, treated, outcome, 7)
        if name == "proportional":
            continue  # Who responds most gains nothing more here: it assumes what is not so.
        assert np.corrcoef(learnt, true)[0, 1] > 0.4, name


def test_the_curve_ends_at_the_average_effect_and_the_area_tells_order() -> None:
    _, treated, outcome, true = experiment(4000, 0.3, 6)
    effect = average_effect(treated, outcome)
    assert qini_curve(true, treated, outcome)[-1] == pytest.approx(effect.value)
    tie_breaker = np.random.default_rng(0).random(len(true)) / 1e6
    right = qini(true + tie_breaker, treated, outcome, resamples=50)
    wrong = qini(-true + tie_breaker, treated, outcome, resamples=50)
    assert right.is_positive
    assert wrong.high < 0
    # Half gain 0.3: taking them first gains a quarter of that over chance, on average over depths.
    gains = float((true > 0).mean())
    assert right.value == pytest.approx(0.3 * gains * (1 - gains) / 2, rel=0.35)


def test_effects_that_are_noise_are_flattened() -> None:
    random = np.random.default_rng(7)
    _, treated, outcome, true = experiment(8000, 0.3, 7)
    noise = fit_line(random.normal(0, 0.2, len(true)), treated, outcome)
    held = fit_line(true, treated, outcome)
    assert abs(noise.slope) < 3 * noise.slope_error
    assert held.slope == pytest.approx(1.0, abs=3 * held.slope_error)
    assert held.average == pytest.approx(true.mean(), abs=3 * held.average_error)


def test_the_registered_model_gives_the_same_effects(
    file_settings: Settings, tmp_path: Path
) -> None:
    frame, treated, outcome, _ = experiment(5000, 0.3, 8)
    evidence, model = learn_uplift(
        frame, treated, outcome, learners=("transformed_outcome",), resamples=40
    )
    assert model is not None, evidence.reason
    client = tracking.configure(file_settings)
    name, number = register_uplift(client, file_settings, model, evidence, "0" * 64)
    assert (name, number) == ("lead_uplift", "1")
    again = load_uplift(number, file_settings)
    assert (again.effects(frame)[0] == model.effects(frame)[0]).all()
    kept = UpliftModel.load(replace(model, training={}).save(tmp_path))
    assert (kept.effects(frame)[1] == model.effects(frame)[1]).all()
