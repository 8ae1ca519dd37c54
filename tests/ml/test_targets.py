"""Targets beside conversion: trained where there is evidence, and plainly untold where not."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from leadengine.settings import Settings
from ml import tracking
from ml.calibration import logit
from ml.evaluation import ece
from ml.intervals import Precision, beta_interval
from ml.registry import load_model
from ml.survival import PERIODS, conversion_times, person_periods
from ml.targets.data import read_target
from ml.targets.definitions import NOT_ENOUGH, TARGETS
from ml.targets.prediction import predict_open_leads
from ml.targets.results import TargetResult
from ml.targets.training import train_targets
from tests.conftest import clone, drop
from tests.ml.warehouse_rows import FEATURES, START, features_of
from warehouse.copy import copy_rows
from warehouse.database import Database

NOW = START + timedelta(days=500)
KEYS = (
    "lead_id", "location_id", "as_of", "target", "split_group", "label", "treated",
    "event_days", "observed_days",
)  # fmt: skip


def fill(database: Database) -> dict[str, float]:
    """Makes the two tables; gives each open lead's true probability of answering a text."""
    random = np.random.default_rng(5)
    rows: list[list[Any]] = []
    current, truth = [], {}
    for i in range(900):
        lead = f"loc{i % 2}:c{i:05d}"
        created = START + timedelta(days=float(random.uniform(0, 400)))
        values, p = features_of(random, float(random.uniform(1, 200)))
        happened = int(random.random() < p)
        rows.append([lead, "loc", created, "reply_sms", lead, happened, None, None, None, *values])
        # The same chance spread evenly over ninety days.
        waited = 90 * np.log(random.random()) / np.log(1 - p)
        watched = float(random.uniform(60, 200))
        event = waited if waited < watched else None
        rows.append(
            [lead, "loc", created, "time_to_convert", lead, int(event is not None), None, event,
             watched, *values]
        )  # fmt: skip
        if i < 40:
            rows.append([lead, "loc", created, "no_show", lead, i % 2, None, None, None, *values])
        # Features that say nothing of it.
        coin = int(random.random() < 0.3)
        rows.append([lead, "loc", created, "recovery", lead, coin, None, None, None, *values])
        values, truth[lead] = features_of(random, float(random.uniform(1, 200)))
        current.append([lead, f"loc{i % 2}", NOW, *values])
    columns = ", ".join(f"{name} {kind}" for name, kind in FEATURES.items())
    with database.connect() as connection:
        connection.execute("create schema if not exists intermediate")
        connection.execute("create schema if not exists marts")
        connection.execute(
            "create table intermediate.int_target_training_set (lead_id text, location_id text, "
            "as_of timestamptz, target text, split_group text, label integer, treated integer, "
            f"event_days double precision, observed_days double precision, {columns})"
        )
        connection.execute(
            "create table marts.lead_features (lead_id text, location_id text, "
            f"as_of timestamptz, {columns})"
        )
        copy_rows(connection, "intermediate.int_target_training_set", [*KEYS, *FEATURES], rows)
        copy_rows(connection, "marts.lead_features", [*KEYS[:3], *FEATURES], current)
    return truth


@pytest.fixture(scope="module")
def warehouse(template_database: Database) -> Iterator[Database]:
    database = clone(template_database)
    yield database
    drop(database)


@pytest.fixture(scope="module")
def truth(warehouse: Database) -> dict[str, float]:
    return fill(warehouse)


@pytest.fixture(scope="module")
def results(
    warehouse: Database, file_settings: Settings, truth: dict[str, float]
) -> dict[str, TargetResult]:
    return {one.target: one for one in train_targets(warehouse, file_settings)}


@pytest.fixture(scope="module")
def predictions(
    results: dict[str, TargetResult], warehouse: Database, file_settings: Settings
) -> pd.DataFrame:
    predict_open_leads(warehouse, file_settings)
    with warehouse.connect() as connection:
        cursor = connection.execute("select * from ml.lead_predictions")
        names = [column.name for column in cursor.description or ()]
        return pd.DataFrame(cursor.fetchall(), columns=names)


def test_every_target_has_an_answer_and_the_answers_differ(
    results: dict[str, TargetResult],
) -> None:
    assert set(results) == {target.name for target in TARGETS} | {"uplift"}
    assert {name: one.status for name, one in results.items()} == {
        "reply_sms": "model",
        "time_to_convert": "model",
        "no_show": "not_enough_evidence",
        "recovery": "base_rate",
        "reply_email": "not_enough_evidence",
        "uplift": "not_enough_evidence",
    }
    no_show = results["no_show"]
    assert (no_show.rows, no_show.outcomes, no_show.base_rate) == (40, 20, 0.5)
    assert no_show.low is not None
    assert no_show.high is not None
    assert no_show.low < 0.4 < 0.6 < no_show.high
    assert "at least 50" in no_show.reason
    # Not a single row: there is no share to give either.
    assert results["reply_email"].base_rate is None


def test_models_are_registered_under_names_of_their_own(
    results: dict[str, TargetResult], warehouse: Database, file_settings: Settings
) -> None:
    client = tracking.configure(file_settings, warehouse)
    for name in ("reply_sms", "time_to_convert"):
        found = client.get_model_version_by_alias(f"lead_{name}", "champion")
        assert str(found.version) == results[name].model_version
        model = load_model(f"models:/lead_{name}/{found.version}", file_settings, warehouse)
        assert model.training["target"] == name
        assert model.training["data_digest"] == read_target(warehouse, name).digest


def test_open_leads_are_predicted_as_the_truth_has_it(
    predictions: pd.DataFrame, truth: dict[str, float]
) -> None:
    replies = predictions[predictions["target"] == "reply_sms"]
    assert len(replies) == 900
    true = replies["lead_id"].map(truth).to_numpy(dtype=float)
    score = replies["probability"].to_numpy(dtype=float)
    assert np.corrcoef(score, true)[0, 1] > 0.5
    assert ece(true, score) < 0.05
    assert (replies["low"] < replies["probability"]).all()
    assert (replies["probability"] < replies["high"]).all()
    assert set(replies["evidence"]) == {"model"}


def test_a_target_without_a_model_gives_its_base_rate_to_whom_it_applies(
    predictions: pd.DataFrame, warehouse: Database
) -> None:
    no_shows = predictions[predictions["target"] == "no_show"]
    with warehouse.connect() as connection:
        booked = connection.execute(
            "select lead_id from marts.lead_features where appointments_pending_count > 0"
        ).fetchall()
    assert set(no_shows["lead_id"]) == {lead for (lead,) in booked}
    assert 50 < len(booked) < 150
    assert set(no_shows["evidence"]) == {NOT_ENOUGH}
    assert set(no_shows["probability"]) == {0.5}
    assert no_shows["model_version"].isna().all()
    emails = predictions[predictions["target"] == "reply_email"]
    assert emails["probability"].isna().all()


def test_conversion_comes_no_earlier_by_a_nearer_day(predictions: pd.DataFrame) -> None:
    by_day = predictions.pivot_table(index="lead_id", columns="target", values="probability")
    assert (by_day["convert_30d"] <= by_day["convert_60d"]).all()
    assert (by_day["convert_60d"] <= by_day["convert_90d"]).all()
    late = predictions[predictions["target"] == "convert_90d"]
    assert (late["median_days"].notna() == (late["probability"] >= 0.5)).all()


def test_predictions_take_the_place_of_the_last_ones(
    predictions: pd.DataFrame, warehouse: Database, file_settings: Settings
) -> None:
    predict_open_leads(warehouse, file_settings)
    with warehouse.connect() as connection:
        row = connection.execute("select count(*) from ml.lead_predictions").fetchone()
    assert row == (len(predictions),)


@given(
    st.lists(
        st.tuples(st.one_of(st.none(), st.floats(0, 200)), st.floats(0, 200, exclude_min=True)),
        min_size=1,
        max_size=30,
    )
)
def test_a_lead_is_at_risk_until_it_converts_or_is_lost_sight_of(
    leads: list[tuple[float | None, float]],
) -> None:
    event = np.array([np.nan if e is None or e >= o else e for e, o in leads])
    observed = np.array([o for _, o in leads])
    found = person_periods(event, observed)
    for i in range(len(leads)):
        starts = sorted(found.start[found.row == i])
        labels = found.label[found.row == i]
        last = next((s for s, e in PERIODS if s <= event[i] < e), None)
        expected = [
            s for s, e in PERIODS if (last is not None and s <= last) or (last is None
            and not event[i] < s and e <= observed[i])
        ]  # fmt: skip
        assert starts == expected
        assert labels.sum() == (last is not None)


def test_conversion_times_multiply_the_hazards_out() -> None:
    class Half:
        """Converts half of those left in each period."""

        class schema:  # noqa: N801
            names = ("x",)

            @staticmethod
            def encode(frame: pd.DataFrame) -> np.ndarray[Any, Any]:
                return np.zeros((len(frame), 1))

        @staticmethod
        def predict(matrix: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
            return np.full(len(matrix), 0.5)

    times = conversion_times(Half(), pd.DataFrame({"x": [1.0, 2.0]}))  # type: ignore[arg-type]
    assert times.within[30] == pytest.approx([1 - 0.5**3] * 2)
    assert times.within[90] == pytest.approx([1 - 0.5**5] * 2)
    assert times.median_days == pytest.approx([7.0] * 2)


def test_intervals_of_a_share_cover_it() -> None:
    random = np.random.default_rng(0)
    share, rows = random.uniform(0.05, 0.5, 4000), random.integers(20, 200, 4000)
    seen = random.binomial(rows, share) / rows
    low, high = beta_interval(seen, rows.astype(float))
    assert 0.87 < ((low <= share) & (share <= high)).mean() < 0.93


def test_fewer_rows_near_a_score_make_a_wider_interval() -> None:
    random = np.random.default_rng(0)
    score = 1 / (1 + np.exp(-random.normal(-2, 0.7, 2000)))
    leads = np.arange(2000)
    precision = Precision.measured(score, leads)
    centre, tail = np.array([0.12]), np.array([score.max()])
    assert precision.at(tail)[0] < precision.at(centre)[0] / 5
    # Ten rows of each lead say as much as one.
    repeated = Precision.measured(np.repeat(score, 10), np.repeat(leads, 10))
    assert repeated.at(centre) == pytest.approx(precision.at(centre), rel=0.02)
    again = Precision.from_dict(precision.to_dict())
    assert again.interval(score)[0] == pytest.approx(precision.interval(score)[0])
    assert np.isfinite(logit(score)).all()
