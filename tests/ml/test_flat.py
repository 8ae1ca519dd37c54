"""``train`` and ``predict`` on files, through the functions that the command line calls."""

import csv
import json
from pathlib import Path

import mlflow
import numpy as np
import pytest

from leadengine.errors import LeadEngineError
from leadengine.settings import Settings
from ml import tracking
from ml.evaluation import roc_auc
from ml.flat import FileTraining, predict_file, train_file
from ml.registry import load_model
from ml.table import read_table
from tests.ml.tables import HEADER, X_EDUCATION_LEAKS, lead_rows, write
from tests.shared_folder import shared


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("tables") / "leads.csv.gz", lead_rows())


@pytest.fixture(scope="module")
def trained(
    table: Path, file_settings: Settings, tmp_path_factory: pytest.TempPathFactory
) -> FileTraining:
    return train_file(
        table,
        "Converted",
        settings=file_settings,
        identifier="Lead Id",
        out=tmp_path_factory.mktemp("out"),
    )


@pytest.fixture(scope="module")
def education(file_settings: Settings) -> FileTraining:
    return train_file(
        shared("data/leads-x-education/leads.csv.gz"),
        "Converted",
        settings=file_settings,
        identifier="Prospect ID",
        exclude=X_EDUCATION_LEAKS,
    )


def test_x_education_without_the_leaky_columns(education: FileTraining) -> None:
    assert education.metrics.roc_auc >= 0.86
    assert education.metrics.brier <= 0.15
    assert education.metrics.ece <= 0.05
    assert education.metrics.lift_at_10pct > 2.2
    assert education.rows == 4620
    assert not set(X_EDUCATION_LEAKS) & set(education.features)
    low, high = education.metrics.intervals["roc_auc"]
    assert low < education.metrics.roc_auc < high


def test_x_education_in_input_order(
    education: FileTraining, file_settings: Settings, tmp_path: Path
) -> None:
    data = shared("data/leads-x-education/leads.csv.gz")
    out = tmp_path / "scores.csv"
    done = predict_file(education.model_uri, data, out, settings=file_settings, chunk_rows=1000)
    with out.open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    frame = read_table(data).frame
    assert [row["Prospect ID"] for row in rows] == frame["Prospect ID"].tolist()
    assert done.rows == len(rows) == 4620
    scores = np.array([float(row["score"]) for row in rows])
    assert scores.min() >= 0
    assert scores.max() <= 1
    label = (frame["Converted"] == "1").to_numpy(dtype=float)
    assert roc_auc(label, scores) > 0.86


def test_report_has_what_the_command_prints(trained: FileTraining) -> None:
    report = json.loads(json.dumps(trained.as_dict()))
    for figure in ("roc_auc", "average_precision", "brier", "ece", "lift_at_10pct", "base_rate"):
        assert isinstance(report[figure], float)
    assert report["rows"] == 400
    assert report["rows_test"] == 80
    assert report["model_uri"].startswith("models:/table_leads/")
    assert "Lead Id" not in report["features"]
    assert report["dropped"]["Asked On"] == "a date"


def test_same_seed_same_model_and_figures(
    table: Path, trained: FileTraining, file_settings: Settings
) -> None:
    again = train_file(table, "Converted", settings=file_settings, identifier="Lead Id")
    assert again.metrics == trained.metrics
    first, second = (load_model(t.model_uri, file_settings) for t in (trained, again))
    assert first.to_dict() == second.to_dict()


def test_the_warehouses_champion_is_left_alone(
    trained: FileTraining, table: Path, file_settings: Settings
) -> None:
    client = tracking.configure(file_settings)
    assert {m.name for m in client.search_registered_models()} >= {"table_leads"}
    assert tracking.REGISTERED_MODEL not in {m.name for m in client.search_registered_models()}
    with pytest.raises(LeadEngineError, match="belongs to the model of the warehouse"):
        train_file(table, "Converted", settings=file_settings, name="Lead conversion")


def test_what_is_logged_names_nobody(trained: FileTraining, file_settings: Settings) -> None:
    client = tracking.configure(file_settings)
    run = client.get_run(trained.run_id)
    assert run.data.metrics["roc_auc"] == pytest.approx(trained.metrics.roc_auc)
    assert len(run.data.tags["data_digest"]) == 64
    assert run.data.tags["code_revision"]
    assert {a.path for a in client.list_artifacts(trained.run_id, "plots")} == {
        "plots/calibration.png",
        "plots/gain.png",
        "plots/precision_recall.png",
    }
    info = mlflow.models.get_model_info(trained.model_uri)
    assert [c.name for c in info.signature.inputs] == trained.features
    example = mlflow.models.Model.load(trained.model_uri).load_input_example()
    assert list(example.columns) == trained.features
    assert not example.astype(str).stack().str.contains("L-0").any()


def test_registered_model_equals_the_native_one(
    trained: FileTraining, table: Path, file_settings: Settings
) -> None:
    tracking.configure(file_settings)
    native = load_model(trained.model_uri, file_settings)
    frame = read_table(table).frame
    typed = frame[list(native.schema.names)].copy()
    for name in ("Visits", "Budget", "Preapproved"):
        position = native.schema.names.index(name)
        typed[name] = native.schema.encode(frame)[:, position]
    served = mlflow.pyfunc.load_model(trained.model_uri).predict(typed)
    np.testing.assert_allclose(served, native.score(frame), atol=1e-12)


def test_out_folder_holds_model_plots_and_report(
    trained: FileTraining, table: Path, file_settings: Settings, tmp_path: Path
) -> None:
    assert trained.out is not None
    assert {p.name for p in trained.out.iterdir()} == {
        "model", "calibration.png", "gain.png", "precision_recall.png", "report.json",
        "rejected_rows.csv",
    }  # fmt: skip
    by_folder, by_uri = tmp_path / "a.csv", tmp_path / "b.csv.gz"
    predict_file(str(trained.out), table, by_folder, settings=file_settings)
    predict_file(trained.model_uri, table, by_uri, settings=file_settings)
    assert read_table(by_folder).frame.equals(read_table(by_uri).frame)


def test_time_column_judges_on_the_latest_rows(table: Path, file_settings: Settings) -> None:
    training = train_file(
        table, "Converted", settings=file_settings, identifier="Lead Id", time_column="Asked On"
    )
    assert training.split["kind"] == "time"
    assert training.split["test_from"] > "2024-10-01"
    assert 60 <= training.split["rows_test"] <= 100
    assert "Asked On" not in training.features


def test_rows_of_one_lead_stay_on_one_side(tmp_path: Path, file_settings: Settings) -> None:
    # Outcome and features belong to the lead, whose five rows are alike: a split by row would
    # let a model recognise them by the budget and look perfect.
    random = np.random.default_rng(5)
    rows = [
        [f"L-{i}", "Google", str(i * 7919 % 100_003), "1", "No", "2024-01-01", outcome]
        for i in range(150)
        for outcome in [str(random.integers(0, 2))]
        for _ in range(5)
    ]
    training = train_file(
        write(tmp_path / "t.csv", rows), "Converted", settings=file_settings, identifier="Lead Id"
    )
    assert training.metrics.roc_auc < 0.75


def test_rows_without_an_outcome_are_set_aside_and_counted(
    tmp_path: Path, file_settings: Settings
) -> None:
    rows = lead_rows()
    rows[4][-1] = ""
    rows[9][-1] = "N/A"
    rows[20] = rows[20][:-1]
    training = train_file(
        write(tmp_path / "t.csv", rows), "Converted", settings=file_settings, out=tmp_path / "out"
    )
    assert training.rows == 397
    assert sorted(training.rejected) == [
        (6, "no outcome in 'Converted'"),
        (11, "no outcome in 'Converted'"),
        (22, "6 fields where the header has 7"),
    ]
    assert (tmp_path / "out" / "rejected_rows.csv").read_text().count("\n") == 4
    assert any("1 broken rows are not used" in notice for notice in training.notices)


def with_target(*values: str) -> list[list[str]]:
    return [[*row[:-1], values[i % len(values)]] for i, row in enumerate(lead_rows(60))]


@pytest.mark.parametrize(
    ("rows", "arguments", "says"),
    [
        (lead_rows(60), {"target": "Sold"}, "has no column 'Sold' (the target)"),
        (lead_rows(60), {"exclude": ["Bugdet"]}, "has no column 'Bugdet' (--exclude)"),
        (lead_rows(60), {"identifier": "ID"}, "has no column 'ID' (--id)"),
        (lead_rows(60), {"time_column": "When"}, "has no column 'When' (--time)"),
        (lead_rows(60), {"exclude": ["Converted"]}, "also named as --id, --time or --exclude"),
        (lead_rows(60), {"time_column": "Source"}, "can be read in 0 of 60 rows only"),
        (with_target(""), {}, "is empty in all 60 rows"),
        (with_target("0", "1", "maybe"), {}, "such as 'maybe' on line 4"),
        (with_target("hot", "cold"), {}, "holds 'hot' and 'cold', which do not say"),
        (with_target("1"), {}, "holds one outcome only ('1' in 60 rows)"),
        (lead_rows(8), {}, "too few of one outcome"),
        (lead_rows(60), {"exclude": HEADER[1:6]}, "No column can serve as a feature"),
        ([row[:-1] for row in lead_rows(60)], {}, "60 of 60 rows do not fit the header"),
        ([], {}, "no data rows"),
        ([HEADER, *lead_rows(60)], {}, "two header rows"),
    ],
)
def test_what_cannot_be_trained_on_is_named(
    tmp_path: Path,
    file_settings: Settings,
    rows: list[list[str]],
    arguments: dict[str, object],
    says: str,
) -> None:
    path = write(tmp_path / "t.csv", rows)
    with pytest.raises(LeadEngineError) as raised:
        train_file(path, **{"target": "Converted", "settings": file_settings, **arguments})  # type: ignore[arg-type]
    assert says in raised.value.message
    assert raised.value.remedy


def test_a_mistyped_column_is_suggested(table: Path, file_settings: Settings) -> None:
    with pytest.raises(LeadEngineError) as raised:
        train_file(table, "converted", settings=file_settings)
    assert "Did you mean 'Converted'?" in raised.value.remedy


def test_unknown_columns_are_ignored_with_a_notice(
    trained: FileTraining, file_settings: Settings, tmp_path: Path
) -> None:
    rows = [[*row[:-1], "x"] for row in lead_rows(10)]
    data = write(tmp_path / "t.csv", rows, [*HEADER[:-1], "Shoe Size"])
    done = predict_file(trained.model_uri, data, tmp_path / "o.csv", settings=file_settings)
    assert done.ignored == ("Shoe Size",)
    assert "Shoe Size" in done.notices[0]
    assert done.rows == 10


@pytest.mark.parametrize(
    ("drop", "says"),
    [
        (["Visits", "Source"], "lacks the columns 'Source', 'Visits'"),
        (["Lead Id"], "no column 'Lead Id'"),
    ],
)
def test_missing_columns_are_named(
    trained: FileTraining, file_settings: Settings, tmp_path: Path, drop: list[str], says: str
) -> None:
    kept = [i for i, name in enumerate(HEADER) if name not in drop]
    rows = [[row[i] for i in kept] for row in lead_rows(10)]
    data = write(tmp_path / "t.csv", rows, [HEADER[i] for i in kept])
    with pytest.raises(LeadEngineError, match=says):
        predict_file(trained.model_uri, data, tmp_path / "o.csv", settings=file_settings)


def test_a_broken_row_stops_prediction_before_anything_is_written(
    trained: FileTraining, file_settings: Settings, tmp_path: Path
) -> None:
    rows = lead_rows(10)
    rows[5].append("too much")
    data = write(tmp_path / "t.csv", rows)
    with pytest.raises(LeadEngineError, match="line 7 is broken: 8 fields"):
        predict_file(trained.model_uri, data, tmp_path / "o.csv", settings=file_settings)
    assert [p.name for p in tmp_path.iterdir()] == ["t.csv"]


@pytest.mark.parametrize("uri", ["/no/such/folder", "models:/nothing/1", "runs:/abc/model", "x:/y"])
def test_a_model_that_is_not_there(
    uri: str, table: Path, file_settings: Settings, tmp_path: Path
) -> None:
    with pytest.raises(LeadEngineError):
        predict_file(uri, table, tmp_path / "o.csv", settings=file_settings)


def test_a_folder_that_is_no_model(table: Path, file_settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "model.json").write_text('{"format": 99}')
    with pytest.raises(LeadEngineError, match="is not a lead model"):
        predict_file(str(tmp_path), table, tmp_path / "o.csv", settings=file_settings)


def test_mlflow_out_of_reach_is_one_sentence(table: Path, file_settings: Settings) -> None:
    lost = file_settings.model_copy(update={"mlflow_tracking_uri": "http://127.0.0.1:9"})
    with pytest.raises(LeadEngineError, match=r"MLflow cannot use http://127.0.0.1:9"):
        train_file(table, "Converted", settings=lost)
    nowhere = file_settings.model_copy(update={"mlflow_tracking_uri": None})
    with pytest.raises(LeadEngineError, match="MLFLOW_TRACKING_URI is not set"):
        train_file(table, "Converted", settings=nowhere)
