"""The leak guard: it names what gives the outcome away, and leaves honest columns alone."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leadengine.errors import LeadEngineError
from leadengine.settings import Settings
from ml.flat import train_file
from ml.leaks import find_leaks
from ml.schema import Matrix
from ml.table import read_outcome, read_table
from tests.ml.tables import HEADER, X_EDUCATION_LEAKS, lead_rows, write
from tests.shared_folder import shared


def honest_table(
    seed: int, rows: int = 3000, base: float = -1.0, strength: float = 1.3
) -> tuple[pd.DataFrame, Matrix]:
    """Columns that were all known before the outcome; some predict it well."""
    random = np.random.default_rng(seed)
    visits = random.gamma(1.5, 2.0, rows)
    source = random.choice(["google", "direct", "referral", "chat", "event"], rows)
    # Nearly all who were referred convert: an honest value may be strong.
    lift = np.select([source == "referral", source == "chat"], [2.6, -1.2], 0.0)
    occupation = random.choice(["employed", "student", ""], rows, p=[0.45, 0.2, 0.35])
    asked = np.where(occupation == "", -1.4, 0.3)
    log_odds = base + strength * (np.log1p(visits) - 1.2) + lift + asked
    label = (random.random(rows) < 1 / (1 + np.exp(-log_odds))).astype(float)
    frame = pd.DataFrame(
        {
            "visits": visits,
            "source": source,
            "occupation": occupation,
            # A form field that was added to the form one day.
            "budget": np.where(np.arange(rows) > rows // 3, random.normal(5, 2, rows), np.nan),
            "credit score": random.normal(680, 50, rows) + 25 * log_odds,
            "days since last visit": random.exponential(20, rows) * np.exp(-0.5 * log_odds),
            "city": random.choice([f"town {i}" for i in range(80)], rows),
            "wants news": random.random(rows) < 0.3,
        }
    )
    return frame, label


def named(frame: pd.DataFrame, label: Matrix, **options: object) -> dict[str, str]:
    leaks = find_leaks(frame, label, np.arange(len(label)), **options)  # type: ignore[arg-type]
    return {leak.column: leak.sign for leak in leaks}


@settings(max_examples=12, deadline=None)
@given(st.integers(0, 10_000), st.floats(-3.5, 0.5), st.floats(0.3, 2.0))
def test_honest_columns_are_not_accused(seed: int, base: float, strength: float) -> None:
    frame, label = honest_table(seed, 2000, base, strength)
    assert named(frame, label) == {}


@pytest.mark.parametrize("base", [-3.0, -1.0, 0.3])
def test_each_sign_is_found(base: float) -> None:
    frame, label = honest_table(1, 2500, base)
    random = np.random.default_rng(9)
    won, rows = label > 0.5, len(label)
    late = random.random(rows)
    stretch = np.arange(rows) * 10 // rows
    frame["copy"] = np.where(random.random(rows) < 0.02, 1 - label, label)
    frame["paid"] = np.where(won, random.normal(1000, 200, rows), 0.0) + random.normal(0, 50, rows)
    frame["stage"] = np.where(
        late < 0.4, "open", np.where(won, "closed", random.choice(["lost", "no answer"], rows))
    )
    frame["signed on"] = np.where(won & (late < 0.5), 3.0, np.nan)
    frame["why not"] = np.where(~won & (late < 0.5), "price", "")
    # The newest state leans on the outcome without telling it.
    frame["Last Step"] = np.where(won == (random.random(rows) < 0.75), "visit", "call")
    frame["heat index"] = np.where(
        np.isin(stretch, (3, 4, 5)), np.nan, random.normal(0, 1, rows) + 0.6 * label
    )
    found = named(frame, label)
    # Flags that are all but the outcome may be told by either of two signs.
    assert found.pop("copy") in ("alone", "verdict")
    assert found.pop("why not") in ("filled", "verdict")
    assert found == {
        "paid": "alone",
        "stage": "verdict",
        "signed on": "filled",
        "Last Step": "newest",
        "heat index": "batch",
    }


def test_the_evidence_has_the_figures() -> None:
    frame, label = honest_table(2)
    frame["signed on"] = np.where(label > 0.5, 3.0, np.nan)
    frame["Last Step"] = np.where(label > 0.5, "visit", "call")
    frame.loc[::3, "Last Step"] = "mail"
    evidence = {leak.column: leak.evidence for leak in find_leaks(frame, label, np.arange(3000))}
    assert f"100.0% of {int(label.sum()):,} leads converted" in evidence["signed on"]
    assert "0.0%" in evidence["signed on"]
    assert "'visit' 100.0% converted" in evidence["Last Step"]


def test_what_is_later_than_its_row_is_named() -> None:
    frame, label = honest_table(3, 1000)
    times = pd.Series(pd.date_range("2024-01-01", periods=1000, freq="h", tz="UTC"))
    frame["first seen"] = (times - pd.Timedelta(days=9)).astype(str)
    frame["updated"] = (times + pd.to_timedelta(9 * (np.arange(1000) % 3 == 0), "D")).astype(str)
    assert named(frame, label, times=times) == {"updated": "later"}
    evidence = find_leaks(frame, label, np.arange(1000), times=times)[0].evidence
    assert "in 334 of 1,000 rows" in evidence


def test_where_moments_are_known_names_accuse_nobody() -> None:
    frame, label = honest_table(4)
    leaning = (label > 0) == (np.random.default_rng(1).random(3000) < 0.7)
    frame["last_channel"] = np.where(leaning, "sms", "call")
    assert named(frame, label) == {"last_channel": "newest"}
    assert named(frame, label, as_of_known=True) == {}
    frame["won"] = label
    assert named(frame, label, as_of_known=True)["won"] in ("alone", "verdict")


def test_rows_of_one_lead_do_not_make_a_column_strong() -> None:
    """A number of the lead's own would be strong if its rows were on both sides."""
    random = np.random.default_rng(5)
    label = np.repeat(random.integers(0, 2, 200).astype(float), 10)
    frame = pd.DataFrame({"town": np.repeat([f"town {i % 50}" for i in range(200)], 10)})
    assert find_leaks(frame, label, np.repeat(np.arange(200), 10)) == []


def test_few_outcomes_accuse_nobody() -> None:
    frame = pd.DataFrame({"a": [float(i) for i in range(60)], "b": ["x", "y", "z"] * 20})
    label = (np.arange(60) >= 45).astype(float)
    assert named(frame, label) == {}


def test_x_education_names_its_leaks_and_nothing_else() -> None:
    table, label = read_outcome(
        read_table(shared("data/leads-x-education/leads.csv.gz")), "Converted"
    )
    exclude = ("Converted", "Prospect ID", "Lead Number")
    assert set(named(table.frame, label, exclude=exclude)) == set(X_EDUCATION_LEAKS)
    assert named(table.frame, label, exclude=(*exclude, *X_EDUCATION_LEAKS)) == {}
    # Nor does it rest on the order of the file.
    order = np.random.default_rng(1).permutation(len(label))
    shuffled = table.frame.iloc[order].reset_index(drop=True)
    assert set(named(shuffled, label[order], exclude=exclude)) == set(X_EDUCATION_LEAKS)


@pytest.fixture(scope="module")
def leaky(tmp_path_factory: pytest.TempPathFactory) -> Path:
    rows = [
        [*row[:-1], "won" if row[-1] == "1" else ("lost" if i % 2 else "open"), row[-1]]
        for i, row in enumerate(lead_rows())
    ]
    header = [*HEADER[:-1], "Stage", HEADER[-1]]
    return write(tmp_path_factory.mktemp("leaky") / "leaky.csv", rows, header)


def test_training_leaves_out_what_gives_the_outcome_away(
    leaky: Path, file_settings: Settings
) -> None:
    training = train_file(leaky, "Converted", settings=file_settings, identifier="Lead Id")
    report = training.as_dict()
    assert [(e["column"], e["action"]) for e in report["leak_guard"]] == [("Stage", "left out")]
    assert "'won' 100.0% converted" in report["leak_guard"][0]["evidence"]
    assert "Stage" not in training.features
    assert training.dropped["Stage"] == "gives the outcome away (verdict)"
    assert training.metrics.roc_auc < 0.9
    assert any("--allow 'Stage'" in notice for notice in training.notices)


def test_a_column_that_is_allowed_is_used(leaky: Path, file_settings: Settings) -> None:
    training = train_file(
        leaky, "Converted", settings=file_settings, identifier="Lead Id", allow=["Stage"]
    )
    assert training.as_dict()["leak_guard"][0]["action"] == "allowed"
    assert "Stage" in training.features
    assert training.metrics.roc_auc > 0.95
    with pytest.raises(LeadEngineError, match="no column 'Stag' \\(--allow\\)"):
        train_file(leaky, "Converted", settings=file_settings, allow=["Stag"])


def test_with_nothing_left_training_fails(leaky: Path, file_settings: Settings) -> None:
    with pytest.raises(LeadEngineError, match="every column that could be a feature") as raised:
        train_file(leaky, "Converted", settings=file_settings, exclude=HEADER[:6])
    assert "'Stage'" in raised.value.message
    assert "--allow" in raised.value.remedy
