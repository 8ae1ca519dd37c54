"""Training, promotion and scoring on a warehouse whose truth is known."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from leadengine.clock import SystemClock
from leadengine.errors import LeadEngineError
from leadengine.settings import Settings, load_settings
from ml import tracking
from ml import training as module
from ml.champion import has_champion, load_champion
from ml.evaluation import compare_with_truth
from ml.model import LeadModel
from ml.one_lead import UnknownLeadError
from ml.online import OnlineScorer, score_lead
from ml.registry import load_model
from ml.replay import replay_scores
from ml.score_table import drop_old_vectors
from ml.scoring import score_open_leads
from ml.splits import held_out, split_by_time
from ml.training import TrainingResult, train_from_warehouse
from ml.watch import newest_alarm, watch
from tests.conftest import clone, drop
from tests.ml.scoring_loop import running
from tests.ml.warehouse_rows import count, fill
from warehouse.database import Database


@pytest.fixture(scope="module")
def warehouse(template_database: Database) -> Iterator[Database]:
    """A database with a training set and a feature table; shared by this module's tests."""
    database = clone(template_database)
    yield database
    drop(database)


@pytest.fixture(scope="module")
def truth(warehouse: Database) -> dict[str, float]:
    return fill(warehouse, leads=3000)


@pytest.fixture(scope="module")
def own_settings(tmp_path_factory: pytest.TempPathFactory, clean_environment: None) -> Settings:
    """A state folder of this module's own; MLflow lives in the warehouse's database."""
    return load_settings(_env_file=None, leadengine_home=tmp_path_factory.mktemp("home"))


@pytest.fixture(scope="module")
def first(warehouse: Database, own_settings: Settings, truth: dict[str, float]) -> TrainingResult:
    assert not has_champion(own_settings, warehouse)
    return train_from_warehouse(warehouse, own_settings)


def scores_of(database: Database) -> pd.DataFrame:
    with database.connect() as connection:
        cursor = connection.execute("select * from ml.current_lead_scores order by rank")
        names = [column.name for column in cursor.description or ()]
        return pd.DataFrame(cursor.fetchall(), columns=names)


def test_the_first_model_becomes_champion(
    first: TrainingResult, warehouse: Database, own_settings: Settings
) -> None:
    assert (first.model_version, first.alias) == ("1", "champion")
    assert has_champion(own_settings, warehouse)
    assert first.metrics["roc_auc"] > 0.68
    assert first.metrics["ece"] < 0.05
    assert first.split["kind"] == "time"
    assert first.calibration_plot.read_bytes().startswith(b"\x89PNG")
    assert own_settings.home in first.calibration_plot.parents
    # MLflow would leave the database's address, password and all, to every child process.
    assert "MLFLOW_TRACKING_URI" not in os.environ
    client = tracking.configure(own_settings, warehouse)
    run = client.get_run(first.run_id)
    assert client.get_experiment(run.info.experiment_id).name == "lead_conversion"
    assert run.data.metrics["brier"] == pytest.approx(first.metrics["brier"])
    assert "training.json" in {a.path for a in client.list_artifacts(first.run_id)}


def test_training_rows_end_before_judging_begins_and_share_no_lead(
    first: TrainingResult, warehouse: Database
) -> None:
    data = module.read_training_set(warehouse)
    window = timedelta(days=60)
    split = split_by_time(data.as_of, data.label, data.leads, window=window)
    assert (data.as_of[split.train] + window).max() < data.as_of[split.test].min()
    assert not set(data.leads[split.train]) & set(data.leads[split.test])
    assert held_out(data.leads)[split.test].all()
    assert split.train.sum() > 1000
    assert first.split == split.describe()


def test_every_open_lead_is_scored_as_the_truth_has_it(
    first: TrainingResult, warehouse: Database, own_settings: Settings, truth: dict[str, float]
) -> None:
    result = score_open_leads(warehouse, own_settings)
    assert result.rows == 3000
    assert sum(result.tiers.values()) == 3000
    assert set(result.tiers) <= {"hot", "warm", "cool", "cold"}
    scores = scores_of(warehouse)
    assert scores["rank"].tolist() == list(range(1, 3001))
    assert scores["score"].is_monotonic_decreasing
    assert set(scores["model_version"]) == {"1"}
    true = scores["lead_id"].map(truth).to_numpy(dtype=float)
    compared = compare_with_truth(scores["score"].to_numpy(dtype=float), true)
    assert compared.rank_correlation > 0.75
    assert compared.ece < 0.03
    assert compared.mean_absolute_error < 0.05


def test_a_second_run_of_the_same_moment_changes_nothing(
    first: TrainingResult, warehouse: Database, own_settings: Settings
) -> None:
    score_open_leads(warehouse, own_settings)
    places = ["scored_at", "block_id"]
    before = scores_of(warehouse).drop(columns=places)
    with ThreadPoolExecutor(2) as pool:
        results = list(pool.map(lambda _: score_open_leads(warehouse, own_settings), range(2)))
    assert [result.rows for result in results] == [3000, 3000]
    pd.testing.assert_frame_equal(scores_of(warehouse).drop(columns=places), before)


def test_a_thousand_stored_scores_are_replayed_to_the_bit(
    first: TrainingResult, warehouse: Database, own_settings: Settings
) -> None:
    score_open_leads(warehouse, own_settings)
    result = replay_scores(warehouse, own_settings, limit=1000)
    assert (result.replayed, result.differences, result.without_vector) == (1000, (), 0)
    assert result.versions == ("1",)


def test_a_score_that_was_tampered_with_is_told(
    first: TrainingResult, warehouse: Database, own_settings: Settings
) -> None:
    score_open_leads(warehouse, own_settings)
    lead = scores_of(warehouse).iloc[0]["lead_id"]
    with warehouse.connect() as connection:
        connection.execute(
            "update ml.lead_scores set score = score - 1e-16 * 4 where lead_id = %s", [lead]
        )
    (difference,) = replay_scores(warehouse, own_settings, lead_id=lead).differences
    assert (difference.lead_id, difference.kind, difference.what) == (lead, "batch", "score")
    assert difference.stored == pytest.approx(difference.replayed, abs=1e-14)
    assert difference.stored != difference.replayed


def test_one_location_alone_gives_what_all_together_give(
    first: TrainingResult, warehouse: Database, own_settings: Settings
) -> None:
    score_open_leads(warehouse, own_settings)
    places = ["scored_at", "block_id", "block_row"]
    before = scores_of(warehouse).drop(columns=places)
    with warehouse.connect() as connection:
        connection.execute("delete from ml.lead_scores where location_id = 'loc0'")
    result = score_open_leads(warehouse, own_settings, location_id="loc0")
    assert (result.rows, result.locations) == (1500, ("loc0",))
    pd.testing.assert_frame_equal(scores_of(warehouse).drop(columns=places), before)
    assert replay_scores(warehouse, own_settings, limit=3000).differences == ()
    with warehouse.connect() as connection:
        assert count(connection, "ml.feature_blocks") == 2


def test_vectors_are_let_go_after_their_time_and_scores_stay(
    first: TrainingResult, warehouse: Database, own_settings: Settings
) -> None:
    score_open_leads(warehouse, own_settings)
    with warehouse.connect() as connection:
        drop_old_vectors(connection, SystemClock().now() + timedelta(days=31), days=30)
    result = replay_scores(warehouse, own_settings, limit=10)
    assert (result.replayed, result.without_vector) == (0, 10)
    assert len(scores_of(warehouse)) == 3000


def test_reasons_are_stored_with_the_score(
    first: TrainingResult, warehouse: Database, own_settings: Settings
) -> None:
    score_open_leads(warehouse, own_settings)
    scores = scores_of(warehouse)
    best, worst = scores.iloc[0], scores.iloc[-1]
    assert 1 <= len(best["reasons"]) <= 3
    assert {"feature", "value", "contribution", "sentence"} == best["reasons"][0].keys()
    assert best["reasons"][0]["contribution"] > 0
    assert worst["reasons"][0]["contribution"] < 0
    for lead in (best, worst):
        told = sum(reason["contribution"] for reason in lead["reasons"])
        log_odds = lead["base_log_odds"] + lead["other_log_odds"] + told
        assert log_odds == pytest.approx(np.log(lead["score"] / (1 - lead["score"])), abs=1e-9)


def retrain(
    warehouse: Database, settings: Settings, monkeypatch: pytest.MonkeyPatch, spoil: Any
) -> TrainingResult:
    """Trains again with a model that ``spoil`` has changed before it is judged by the gate."""
    whole = module.fit
    monkeypatch.setattr(module, "fit", lambda *a, **k: spoil(whole(*a, **k)))
    return train_from_warehouse(warehouse, settings)


def shifted(model: LeadModel) -> LeadModel:
    """The same ranking, with probabilities that are far too high."""
    slope, intercept = model.calibrator.x
    return replace(model, calibrator=replace(model.calibrator, x=(slope, intercept + 1.5)))


def test_a_worse_model_is_refused_and_says_why(
    first: TrainingResult,
    warehouse: Database,
    own_settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    before = load_champion(own_settings, warehouse).version
    refused = retrain(warehouse, own_settings, monkeypatch, shifted)
    assert refused.alias == "challenger"
    assert "Refused: Brier: Worse than version" in refused.decision
    assert "calibration: ECE" in refused.decision
    assert load_champion(own_settings, warehouse).version == before
    client = tracking.configure(own_settings, warehouse)
    version = client.get_model_version("lead_conversion", refused.model_version)
    assert version.tags["decision"] == refused.decision


def test_an_equal_model_takes_over(
    first: TrainingResult, warehouse: Database, own_settings: Settings
) -> None:
    again = train_from_warehouse(warehouse, own_settings)
    assert again.alias == "champion"
    assert again.metrics == first.metrics
    assert load_champion(own_settings, warehouse).version == again.model_version
    models = [load_champion(own_settings, warehouse).model, load_version(own_settings, warehouse)]
    assert models[0].to_dict() == models[1].to_dict()


def load_version(settings: Settings, database: Database) -> LeadModel:
    return load_model("models:/lead_conversion/1", settings, database)


def test_a_warehouse_that_is_not_built_says_so(db: Database, own_settings: Settings) -> None:
    with pytest.raises(LeadEngineError, match=r"marts\.lead_training_set is not there"):
        train_from_warehouse(db, own_settings)
    with pytest.raises(LeadEngineError, match="The warehouse is not built"):
        score_open_leads(db, own_settings)
    with pytest.raises(LeadEngineError, match="The warehouse is not built"):
        score_lead(db, own_settings, "loc:lead")


def test_too_few_outcomes_say_so(db: Database, own_settings: Settings) -> None:
    fill(db, leads=30, points=2)
    with db.connect() as connection:
        connection.execute("update marts.lead_training_set set label = 0")
    with pytest.raises(LeadEngineError, match="0 training rows that converted"):
        train_from_warehouse(db, own_settings)
    with db.connect() as connection:
        connection.execute("delete from marts.lead_training_set")
    with pytest.raises(LeadEngineError, match=r"marts\.lead_training_set is empty"):
        train_from_warehouse(db, own_settings)


def test_a_short_history_is_judged_by_held_out_leads(db: Database, own_settings: Settings) -> None:
    fill(db, leads=700, points=1)
    with db.connect() as connection:
        connection.execute("update marts.lead_training_set set as_of = '2025-06-01'")
    result = train_from_warehouse(db, own_settings)
    assert result.split["kind"] == "lead"
    assert result.alias == "champion"


ONLINE_RELATIONS = """
create table marts.dim_leads (lead_id text, location_id text, status text);
create table intermediate.int_leads as
select
    'loc0:c' || i as lead_id, 'loc0' as location_id, 'zillow' as source, 'buy' as lead_intent,
    '0-3 months' as timeline, 'condo' as property_type, 1 + i % 4 as beds,
    100000::bigint * i as price_min_cents, 200000::bigint * i as price_max_cents,
    timestamptz '2025-01-01' + i * interval '13 hours 7.123457 seconds' as created_at
from generate_series(1, 600) as i;
create table intermediate.int_lead_timeline as
select
    lead_id || '/' || n as event_id, lead_id, location_id, 'touch' as event_type,
    (array['sms', 'email', 'call'])[1 + (hashtext(lead_id || n) & 65535) % 3] as channel,
    case when n % 2 = 0 then 'inbound' else 'outbound' end as direction,
    case when n % 2 = 0 then 'lead' else 'agent' end as actor, 'dana' as agent_id,
    created_at + n * interval '31 hours 11.000001 seconds' as occurred_at,
    created_at + n * interval '31 hours 11.000001 seconds' as known_at,
    null as source_system, null as source_row_id, null::bigint as amount_cents,
    case when n % 3 = 0 then 61 * n end as duration_seconds,
    case when n % 3 = 0 then 'answered' end as outcome
from intermediate.int_leads
cross join generate_series(1, 9) as n
where (hashtext(lead_id) & 65535) % 10 >= n;
create table staging.stg_ghl__locations as
select 'loc0' as location_id, 'America/New_York' as timezone;
create table intermediate.int_agent_days as
select 'loc0' as location_id, 'dana' as agent_id, day::date, 3 as touches_7d, 2 as leads_7d
from generate_series(date '2025-01-01', date '2026-06-01', interval '2 days') as day;
insert into marts.dim_leads
select lead_id, location_id, 'open' as status from intermediate.int_leads;
"""


def test_one_lead_online_equals_the_batch(db: Database, own_settings: Settings) -> None:
    """Both tables are filled by the committed one-lead query, as dbt's macro would fill them."""
    query = module.Path(module.__file__).parents[1] / "dbt_project/rendered/one_lead_features.sql"
    if not query.exists():
        pytest.skip("dbt_project/rendered/one_lead_features.sql is not here yet")
    text = query.read_text().replace("%(lead_id)s", "s.lead_id").replace("%(as_of)s", "s.as_of")
    body = f"from s cross join lateral ({text}) as f where f.lead_id = s.lead_id"
    with db.connect() as connection:
        connection.execute(ONLINE_RELATIONS)
        connection.execute(
            "create table marts.lead_training_set as with s as (select lead_id, created_at "
            "+ point * interval '1 day' as as_of from intermediate.int_leads, "
            "generate_series(2, 92, 30) as point) "
            "select s.lead_id as split_group, 'loc0' as location_id, "
            "(hashtext(s.lead_id || s.as_of::text) & 255 < 20 + coalesce(f.inbound_count_30d, 0) "
            f"* 40)::int as label, f.* {body}"  # type: ignore[arg-type]
        )
        connection.execute(
            "create table marts.lead_features as with s as (select lead_id, "
            "timestamptz '2026-01-01 10:11:12.131415' as as_of from intermediate.int_leads) "
            f"select 'loc0' as location_id, f.* {body}"  # type: ignore[arg-type]
        )
    train_from_warehouse(db, own_settings)
    score_open_leads(db, own_settings)
    batch = scores_of(db)
    with running(OnlineScorer(db, own_settings)) as scores:
        for row in batch.iloc[::7].itertuples():
            online = scores.score(row.lead_id, row.as_of)
            assert online["score"] == row.score
            assert (online["tier"], online["reasons"]) == (row.tier, row.reasons)
            assert online["features_digest"] == row.features_digest
            assert online["model_version"] == row.model_version
    now = score_lead(db, own_settings, batch.iloc[0]["lead_id"])
    assert json.dumps(now, default=str)
    assert now["features"]["days_since_created"] > 0
    assert 0 <= now["score"] <= 1
    with pytest.raises(UnknownLeadError, match="There is no lead 'loc0:nobody'"):
        score_lead(db, own_settings, "loc0:nobody")


@pytest.mark.slow
def test_two_processes_may_make_mlflows_tables_at_once(db: Database, tmp_path: Path) -> None:
    program = (
        "import sys; from leadengine.settings import load_settings;"
        "from warehouse.database import Database; from ml import tracking;"
        "s = load_settings(_env_file=None, leadengine_home=sys.argv[1]);"
        "d = Database(host=sys.argv[2], port=int(sys.argv[3]), user=sys.argv[4], password='x',"
        " dbname=sys.argv[5]);"
        "c = tracking.configure(s, d); print(tracking.experiment_id(c, s, 'lead_conversion'))"
    )
    arguments = [str(tmp_path), db.host, str(db.port), db.user, db.dbname]
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", program, *arguments],
            stdout=subprocess.PIPE,
            text=True,
            # Locks of this machine's temporary folder must not be what saves it.
            env={**os.environ, "TMPDIR": str(tmp_path / name)},
        )
        for name in ("a", "b")
        if not (tmp_path / name).mkdir()  # type: ignore[func-returns-value]
    ]
    answers = [process.communicate(timeout=120)[0].strip() for process in processes]
    assert [process.returncode for process in processes] == [0, 0]
    assert answers[0] == answers[1] != ""
    with db.connect() as connection:
        assert count(connection, "mlflow.experiments") == 2


def test_mlflow_uses_no_more_than_its_schema(
    first: TrainingResult, warehouse: Database, own_settings: Settings
) -> None:
    with warehouse.connect() as connection:
        row = connection.execute(
            "select count(*) from pg_tables where schemaname = 'public'"
        ).fetchone()
        assert count(connection, "mlflow.model_versions") >= 1
    assert row == (0,)
    assert np.isfinite(first.metrics["log_loss"])


@pytest.fixture
def outcomes(warehouse: Database, first: TrainingResult) -> Iterator[Database]:
    """The warehouse with the relations that say what became of leads, and without scores."""
    with warehouse.connect() as connection:
        connection.execute(
            "create table intermediate.int_leads as select lead_id, null::timestamptz as deleted_at"
            " from marts.lead_features;"
            "create table intermediate.int_lead_timeline"
            " (lead_id text, event_type text, occurred_at timestamptz);"
            "create table kept as table marts.lead_features;"
            "delete from ml.lead_scores; delete from ml.feature_blocks"
        )
    yield warehouse
    with warehouse.connect() as connection:
        connection.execute(
            "drop table intermediate.int_leads, intermediate.int_lead_timeline;"
            "truncate marts.lead_features; insert into marts.lead_features table kept;"
            "drop table kept; delete from ml.lead_scores; delete from ml.feature_blocks"
        )


def test_drift_is_told_from_the_first_run_of_the_model(
    outcomes: Database, own_settings: Settings
) -> None:
    score_open_leads(outcomes, own_settings)
    steady = watch(outcomes, own_settings)
    assert (steady.verdict, steady.as_of) == ("steady", steady.baseline_as_of)
    assert newest_alarm(outcomes) is None
    with outcomes.connect() as connection:
        connection.execute(
            "update marts.lead_features set as_of = as_of + interval '1 day', inbound_count_30d = 3"
        )
    score_open_leads(outcomes, own_settings)
    look = watch(outcomes, own_settings)
    assert look.verdict == "drifted"
    assert look.baseline_as_of == steady.as_of
    moved = {drift.name for drift in look.drifts if drift.drifted}
    assert moved == {"score", "inbound_count_30d"}
    assert "inbound_count_30d" in look.summary
    alarm = newest_alarm(outcomes)
    assert alarm is not None
    assert (alarm.watch_id, alarm.verdict) == (look.watch_id, "drifted")
    with outcomes.connect() as connection:
        rows = connection.execute(
            "select name, value from ml.watch_figures where watch_id = %s and is_alarming"
            " order by name",
            [look.watch_id],
        ).fetchall()
    assert [name for name, _ in rows] == ["inbound_count_30d", "score"]
    page = look.report.read_text()
    assert "Drifted." in page
    assert "loc0:c" not in page
    client = tracking.configure(own_settings, outcomes)
    run_id = look.artifact.split("/")[-3]
    assert {a.path for a in client.list_artifacts(run_id)} == {look.report.name}


def test_scores_are_held_to_what_came_of_them(
    outcomes: Database, own_settings: Settings, truth: dict[str, float]
) -> None:
    score_open_leads(outcomes, own_settings)
    random = np.random.default_rng(5)
    with outcomes.connect() as connection:
        # The same scores as of 70 days ago; a third of those that were to convert did.
        connection.execute(
            "insert into ml.lead_scores (lead_id, location_id, as_of, score, tier, rank, reasons,"
            " model_name, model_version, features_digest, scored_at, block_id, block_row)"
            " select lead_id, location_id, as_of - interval '70 days', score, tier, rank, reasons,"
            " model_name, model_version, features_digest, scored_at, block_id, block_row"
            " from ml.lead_scores"
        )
        connection.cursor().executemany(
            "insert into intermediate.int_lead_timeline select lead_id, 'appointment_kept',"
            " as_of - %s * interval '1 day' from marts.lead_features where lead_id = %s",
            # Some of them convert only when their window is over.
            [(69 if random.random() < 0.9 else 9, lead) for lead, chance in truth.items()
             if random.random() < chance / 3],
        )  # fmt: skip
    look = watch(outcomes, own_settings)
    assert look.calibration is not None
    assert look.calibration.rows == 3000
    assert look.verdict == "miscalibrated"
    assert look.calibration.low < 0.9 / 3 < look.calibration.high
    with outcomes.connect() as connection:
        # Of a lead that was deleted within the window nobody knows what would have come of it.
        connection.execute(
            "update intermediate.int_leads set deleted_at = (select max(as_of) from"
            " marts.lead_features) - interval '30 days' where lead_id like 'loc0:%'"
        )
    again = watch(outcomes, own_settings)
    assert again.calibration is not None
    assert again.calibration.rows == 1500
