"""Few outcomes: rates that are held towards a prior, and the switch from rules to the model."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leadengine.errors import LeadEngineError
from ml.calibration import logit, sigmoid
from ml.fitting import FitOptions, fit
from ml.locations import conversion_of, weigh
from ml.model import LeadModel
from ml.small import Prior, level_to, location_offset, location_rates, rules_file
from ml.splits import held_out
from tests.ml.warehouse_rows import FEATURES, features_of

PRIOR = Prior(rate=0.1, rate_sd=0.8, strength=30, strength_factor=3, offset_sd=0.35)


def accounts(random: np.random.Generator, count: int) -> tuple[np.ndarray, ...]:
    """Small locations whose rates differ: true rate, leads, outcomes."""
    rate = random.beta(0.12 * 40, 0.88 * 40, count)
    leads = random.integers(5, 150, count)
    return rate, leads.astype(float), random.binomial(leads, rate).astype(float)


def test_intervals_of_two_hundred_small_locations_cover_their_rates() -> None:
    covered, wide, plain = [], [], []
    for seed in range(10):
        rate, leads, outcomes = accounts(np.random.default_rng(seed), 200)
        found = location_rates(outcomes, leads, PRIOR)
        covered += ((found.low <= rate) & (rate <= found.high)).tolist()
        wide.append(float((found.high - found.low).mean()))
        share = outcomes / leads
        error = 1.645 * np.sqrt(share * (1 - share) / leads)
        plain += (np.abs(share - rate) <= error).tolist()
    assert 0.88 < np.mean(covered) < 0.92
    # The textbook interval of a share pretends: many locations of it have no outcome at all.
    assert np.mean(plain) < 0.88
    assert max(wide) < 0.2


def test_intervals_hold_where_small_locations_differ_more_than_large_ones() -> None:
    """The large ones say that locations hardly differ, and the small ones must not believe them."""
    covered = []
    for seed in range(8):
        random = np.random.default_rng(seed)
        few = np.arange(200) % 4 == 0
        strength = np.where(few, 20.0, 120.0)
        rate = random.beta(0.1 * strength, 0.9 * strength)
        leads = np.where(few, random.integers(10, 60, 200), random.integers(80, 300, 200))
        found = location_rates(random.binomial(leads, rate).astype(float), leads * 1.0, PRIOR)
        covered += ((found.low <= rate) & (rate <= found.high)).tolist()
    assert 0.87 < np.mean(covered) < 0.93


def test_a_location_without_leads_gets_what_the_others_say() -> None:
    alone = location_rates(np.zeros(1), np.zeros(1), PRIOR)
    assert alone.low[0] < 0.03 < 0.25 < alone.high[0]
    rate, leads, outcomes = accounts(np.random.default_rng(1), 100)
    among = location_rates(np.append(outcomes, 0.0), np.append(leads, 0.0), PRIOR)
    assert among.rate[-1] == pytest.approx(rate.mean(), abs=0.02)
    assert among.high[-1] - among.low[-1] < alone.high[0] - alone.low[0]
    assert among.prior_strength == pytest.approx(40, rel=0.6)


@settings(max_examples=25, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, 60), st.integers(0, 200)).map(lambda t: (min(t), max(t))),
        min_size=1,
        max_size=6,
    )
)
def test_a_rate_lies_within_its_interval_and_between_prior_and_own_share(
    counts: list[tuple[int, int]],
) -> None:
    outcomes, leads = (np.array(c, dtype=float) for c in zip(*counts, strict=True))
    found = location_rates(outcomes, leads, PRIOR)
    assert (found.low <= found.rate).all()
    assert (found.rate <= found.high).all()
    assert (found.low > 0).all()
    assert (found.high < 1).all()


def test_more_outcomes_move_a_rate_from_the_prior_to_its_own() -> None:
    found = location_rates(np.array([3.0]), np.array([10.0]), PRIOR).rate[0]
    more = location_rates(np.array([300.0]), np.array([1000.0]), PRIOR).rate[0]
    assert 0.1 < found < more
    assert more == pytest.approx(0.3, abs=0.02)


def test_an_offset_is_held_towards_none_while_outcomes_are_few() -> None:
    random = np.random.default_rng(4)
    score = np.full(4000, 0.1)
    label = (random.random(4000) < sigmoid(logit(score) + 0.6)).astype(float)
    few, many = location_offset(score[:30], label[:30], 0.35), location_offset(score, label, 0.35)
    assert abs(few.value) < many.value
    assert few.error > 4 * many.error
    assert many.value == pytest.approx(0.6, abs=0.15)


def test_points_are_levelled_to_a_rate() -> None:
    points = np.array([0.0, 1.0, 2.0, -1.0])
    score = level_to(points, 0.2)
    assert score.mean() == pytest.approx(0.2)
    assert (np.argsort(score) == np.argsort(points)).all()


def test_rules_read_numbers_texts_and_gaps() -> None:
    frame = pd.DataFrame(
        {
            "inbound_count_7d": [2.0, 0.0, np.nan],
            "source": ["Referral", None, "zillow"],
            "days_since_last_inbound": [1.0, np.nan, 90.0],
        }
    )
    assert rules_file().points(frame) == pytest.approx([1.4, -0.4, -0.8])


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ("{feature: source, points: 1}", "no test"),
        ("{feature: source, points: 1, above: 3}", "above"),
        ("{feature: source, values: [a]}", "points"),
    ],
)
def test_a_rule_that_is_none_is_named(tmp_path: Path, rule: str, said: str) -> None:
    file = tmp_path / "rules.yml"
    prior = "{rate: 0.1, rate_sd: 1, strength: 3, strength_factor: 2, offset_sd: 1}"
    file.write_text(f"prior: {prior}\nrules:\n  - {rule}\n")
    with pytest.raises(LeadEngineError, match=said):
        rules_file(file)


def rows_of(leads: int, location: str, shift: float, seed: int) -> pd.DataFrame:
    """Training rows of a location whose log-odds are off by ``shift``."""
    random = np.random.default_rng(seed)
    rows = []
    for i in range(leads):
        values, p = features_of(random, float(random.uniform(1, 200)))
        # What no rule knows of: the rules score must be beaten by something.
        beds = 1.5 * (values[12] >= 4) - 0.7
        p = float(sigmoid(logit(np.array([p])) + shift + beds)[0])
        lead = f"{location}:c{i:05d}"
        rows.append([location, lead, int(random.random() < p), *values])
    return pd.DataFrame(rows, columns=["location_id", "split_group", "label", *FEATURES])


@pytest.fixture(scope="module")
def model() -> LeadModel:
    rows = rows_of(2500, "elsewhere", 0.0, 1)
    return fit(
        rows[[*FEATURES]], rows["label"].to_numpy(dtype=float),
        rows["split_group"].to_numpy(dtype=object), FitOptions(),
    )  # fmt: skip


def judged(rows: pd.DataFrame) -> pd.DataFrame:
    return rows[held_out(rows["split_group"].to_numpy(dtype=object))].reset_index(drop=True)


def counted(rows: pd.DataFrame) -> tuple[str, int, float]:
    return rows["location_id"].iloc[0], len(rows), float(rows["label"].sum())


def test_the_switch_from_rules_is_by_what_was_measured(model: LeadModel) -> None:
    young = rows_of(30, "young", 0.0, 2)
    grown = rows_of(3500, "grown", 0.0, 3)
    apart = rows_of(3500, "apart", 1.5, 4)
    everyone = [young, grown, apart]
    found = weigh(
        model,
        [*map(counted, everyone), ("new", 0, 0.0)],
        pd.concat([judged(rows) for rows in everyone], ignore_index=True),
    )
    method = {one.location_id: one.method for one in found}
    assert method == {"young": "rules", "grown": "full", "apart": "shrunk", "new": "rules"}
    reason = {one.location_id: one.reason for one in found}
    assert "too few" in reason["young"]
    assert "no lead of this location" in reason["new"].lower()
    assert "better than the rules" in reason["grown"]
    young_one, grown_one = found[0], found[1]
    assert young_one.high - young_one.low > 3 * (grown_one.high - grown_one.low)
    assert "rules_score.yml" in young_one.prior_source


def test_leads_of_a_shrunk_location_are_moved_and_have_intervals(model: LeadModel) -> None:
    rows = rows_of(3500, "apart", 1.5, 5)
    (one,) = weigh(model, [counted(rows)], judged(rows))
    score = model.score(rows)
    unknown = location_rates(np.zeros(1), np.zeros(1))
    value, low, high, method = conversion_of(one.__dict__, rows, score, unknown)
    assert method == "shrunk"
    assert (low < value).all()
    assert (value < high).all()
    label = rows["label"].to_numpy(dtype=float)
    assert abs(value.mean() - label.mean()) < abs(score.mean() - label.mean()) / 3


def test_leads_of_an_unknown_location_have_wide_intervals_around_the_rules(
    model: LeadModel,
) -> None:
    rows = rows_of(40, "unheard", 0.0, 6)
    unknown = location_rates(np.zeros(1), np.zeros(1), PRIOR)
    value, low, high, method = conversion_of(None, rows, model.score(rows), unknown)
    assert method == "rules"
    assert value.mean() == pytest.approx(unknown.rate[0])
    assert ((high - low) > value).all()
