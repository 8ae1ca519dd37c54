"""Leads are scored by rules while no model can be trained: in batch, one at a time, on replay."""

from dataclasses import replace
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import dagster as dg
import numpy as np
import pandas as pd
import pytest

from leadengine.clock import FixedClock
from leadengine.errors import LeadEngineError
from leadengine.settings import Settings, load_settings
from ml import rules_score as module
from ml import training
from ml.champion import has_champion, load_champion, load_scorer
from ml.fitting import TooFewOutcomesError, check_outcomes
from ml.history import NOT_TRAINED, events
from ml.locations import RULES, weigh_locations
from ml.model import LeadModel
from ml.online import OnlineScorer, score_lead
from ml.reasons import explain
from ml.replay import replay_scores
from ml.rules_score import newest_rules_score, renew_rules_score, rules_model
from ml.scoring import score_open_leads
from ml.small import RulesFile, rules_file
from ml.targets.prediction import predict_open_leads
from ml.training import TrainingResult, Untrained, train_if_possible
from ml.watch import watch
from orchestration import resources
from orchestration.defs.ml import assets, targets
from tests.ml.online_rows import NOW, RELATIONS
from tests.ml.scoring_loop import running
from tests.ml.warehouse_rows import FEATURES, features_of, fill
from warehouse.database import Database


@pytest.fixture(scope="module")
def own_settings(tmp_path_factory: pytest.TempPathFactory, clean_environment: None) -> Settings:
    return load_settings(_env_file=None, leadengine_home=tmp_path_factory.mktemp("home"))


def some_leads(count: int = 200) -> pd.DataFrame:
    random = np.random.default_rng(5)
    rows = [features_of(random, float(random.uniform(1, 200)))[0] for _ in range(count)]
    return pd.DataFrame(rows, columns=list(FEATURES))


def few(db: Database, outcomes: int) -> None:
    """A training set in which only so many leads converted, each at one point."""
    with db.connect() as connection:
        connection.execute("update marts.lead_training_set set label = 0")
        connection.execute(
            "update marts.lead_training_set as t set label = 1 from (select lead_id, as_of from"
            " marts.lead_training_set order by as_of, lead_id limit %s) as s"
            " where t.lead_id = s.lead_id and t.as_of = s.as_of",
            [outcomes],
        )


def stored(db: Database) -> pd.DataFrame:
    with db.connect() as connection:
        cursor = connection.execute("select * from ml.current_lead_scores order by rank")
        names = [column.name for column in cursor.description or ()]
        return pd.DataFrame(cursor.fetchall(), columns=names)


@pytest.fixture
def young(db: Database) -> Database:
    """Three hundred leads, four of which have converted so far."""
    fill(db, leads=300, points=2)
    few(db, 4)
    return db


def test_the_model_is_the_rules_at_the_expected_rate() -> None:
    leads = some_leads()
    model = rules_model(leads, rate=0.04)
    score = model.score(leads)
    assert score.mean() == pytest.approx(0.04, abs=1e-6)
    apart = np.log(score / (1 - score)) - rules_file().points(leads)
    assert np.ptp(apart) < 1e-9
    assert np.ptp(score) > 0.05


def test_a_lead_alone_has_the_bits_that_it_has_among_others() -> None:
    leads = some_leads()
    model = LeadModel.from_dict(rules_model(leads, rate=0.04).to_dict())
    matrix = model.schema.encode(leads)
    together = model.predict(matrix)
    for i, row in enumerate(leads.to_dict("records")):
        alone = model.schema.encode_row({str(name): value for name, value in row.items()})
        assert model.predict(alone)[0] == together[i]
    for one, p in zip(explain(model, matrix, leads.to_dict("records")), together, strict=True):  # type: ignore[arg-type]
        assert one.log_odds == pytest.approx(np.log(p / (1 - p)), abs=1e-9)
        assert one.reasons, "what is common and absent tells something too"


def test_a_rule_on_a_feature_that_is_not_there_is_left_out() -> None:
    leads = some_leads().drop(columns=["source", "inbound_count_7d"])
    names = rules_model(leads, rate=0.1).schema.names
    assert "timeline" in names
    assert not {"source", "inbound_count_7d"} & set(names)


def test_with_four_outcomes_nothing_is_trained_and_every_lead_is_scored(
    young: Database, own_settings: Settings
) -> None:
    result = train_if_possible(young, own_settings)
    assert isinstance(result, Untrained)
    assert result.reason.startswith("There are 4 training rows that converted")
    assert not has_champion(own_settings, young)
    scored = score_open_leads(young, own_settings)
    assert (scored.rows, scored.model_version) == (300, result.scored_by)
    scores = stored(young)
    assert set(scores["model_version"]) == {result.scored_by}
    assert set(scores["model_name"]) == {"rules_score"}
    assert result.scored_by.startswith("rules-")
    assert {"hot", "cold"} < set(scores["tier"])
    assert scores["reasons"].map(len).min() >= 1
    assert "appointment" in str(scores.iloc[0]["reasons"]).lower()
    # Between what was seen, a share of 0.4 % of the rows, and the prior of 5 %.
    assert 0.007 < scores["score"].mean() < 0.05
    replayed = replay_scores(young, own_settings, limit=300)
    assert (replayed.replayed, replayed.differences) == (300, ())
    (event,) = events(young)
    assert (event.action, event.version) == (NOT_TRAINED, result.scored_by)
    assert event.detail["reason"] == result.reason


def test_the_interval_of_a_young_location_is_wide(young: Database, own_settings: Settings) -> None:
    with young.connect() as connection:
        connection.execute("update marts.lead_features set location_id = 'new' where beds = 1")
    train_if_possible(young, own_settings)
    score_open_leads(young, own_settings)
    evidence = {one.location_id: one for one in weigh_locations(young, own_settings)}
    assert {one.method for one in evidence.values()} == {RULES}
    assert {one.reason for one in evidence.values()} == {"There is no model yet."}
    assert evidence["new"].leads == 0
    assert evidence["new"].high > 3 * evidence["new"].rate
    predict_open_leads(young, own_settings)
    with young.connect() as connection:
        rows = connection.execute(
            "select location_id, count(*), avg(probability), avg(low), avg(high), min(evidence)"
            " from ml.lead_predictions where target = 'conversion' group by location_id"
        ).fetchall()
    found = {row[0]: row[1:] for row in rows}
    assert sum(row[0] for row in found.values()) == 300
    for location, (_, probability, low, high, said) in found.items():
        assert said == RULES
        assert probability == pytest.approx(evidence[location].rate, abs=1e-6)
        assert low == pytest.approx(evidence[location].low, abs=1e-6)
        assert high == pytest.approx(evidence[location].high, abs=1e-6)


def test_an_empty_training_set_is_no_failure(young: Database, own_settings: Settings) -> None:
    with young.connect() as connection:
        connection.execute("delete from marts.lead_training_set")
    result = train_if_possible(young, own_settings)
    assert isinstance(result, Untrained)
    assert "marts.lead_training_set is empty" in result.reason
    assert score_open_leads(young, own_settings).rows == 300
    assert stored(young)["score"].mean() == pytest.approx(0.05, abs=0.02)


def test_a_warehouse_that_is_not_built_is_a_failure(db: Database, own_settings: Settings) -> None:
    with pytest.raises(LeadEngineError, match=r"marts\.lead_training_set is not there"):
        train_if_possible(db, own_settings)
    assert newest_rules_score(db) is None


def test_scores_do_not_wait_for_a_first_training(young: Database, own_settings: Settings) -> None:
    assert score_open_leads(young, own_settings).model_version.startswith("rules-")
    found = newest_rules_score(young)
    assert found is not None
    assert found.reason == "There is no champion of lead_conversion."


def test_a_version_lasts_as_long_as_it_fits(young: Database, own_settings: Settings) -> None:
    first = renew_rules_score(young, "Too few.")
    score_open_leads(young, own_settings)
    with young.connect() as connection:
        connection.execute("delete from marts.lead_features where lead_id like '%%7'", [])
    assert renew_rules_score(young, "Still too few.").version == first.version
    assert newest_rules_score(young) == replace(first, reason="Still too few.")
    few(young, 60)
    second = renew_rules_score(young, "Still too few.")
    assert second.version != first.version
    assert second.model.training["base_rate"] > 2 * first.model.training["base_rate"]
    assert load_scorer(own_settings, young).version == second.version
    # What the first one gave is replayed by the first one.
    replayed = replay_scores(young, own_settings, limit=300)
    assert (replayed.versions, replayed.differences) == ((first.version,), ())


def test_rules_that_were_changed_count_from_the_next_scoring(
    young: Database, own_settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = score_open_leads(young, own_settings).model_version
    rules = rules_file()
    changed = RulesFile(rules.prior, tuple(replace(r, points=r.points / 2) for r in rules.rules))
    monkeypatch.setattr(module, "rules_file", lambda: changed)
    assert score_open_leads(young, own_settings).model_version != before


def test_a_model_takes_over_as_soon_as_there_is_one(
    young: Database, own_settings: Settings
) -> None:
    train_if_possible(young, own_settings)
    assert score_open_leads(young, own_settings).model_version.startswith("rules-")
    fill(young, leads=1200, points=3)
    result = train_if_possible(young, own_settings)
    assert isinstance(result, TrainingResult)
    assert result.alias == "champion"
    assert score_open_leads(young, own_settings).model_version == result.model_version
    # Too few outcomes later on do not take it away.
    few(young, 4)
    later = train_if_possible(young, own_settings)
    assert isinstance(later, Untrained)
    assert later.scored_by == result.model_version
    assert load_scorer(own_settings, young).version == result.model_version


def test_a_first_model_that_fails_the_gates_leaves_it_to_the_rules(
    db: Database, own_settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(db, leads=1200, points=3)
    whole = training.fit

    def too_high(*arguments: Any) -> LeadModel:
        model = whole(*arguments)
        slope, intercept = model.calibrator.x
        return replace(model, calibrator=replace(model.calibrator, x=(slope, intercept + 1.5)))

    monkeypatch.setattr(training, "fit", too_high)
    result = train_if_possible(db, own_settings)
    assert isinstance(result, TrainingResult)
    assert result.alias == "challenger"
    assert score_open_leads(db, own_settings).model_version.startswith("rules-")
    found = newest_rules_score(db)
    assert found is not None
    assert "version 1 did not pass the gates" in found.reason
    assert "calibration" in found.reason
    with pytest.raises(LeadEngineError, match="version 1 did not pass the gates"):
        load_champion(own_settings, db)


def test_ten_outcomes_of_two_leads_are_not_ten() -> None:
    label = np.array([1.0] * 12 + [0.0] * 40)
    leads = np.array(["a"] * 6 + ["b"] * 6 + [f"c{i}" for i in range(40)])
    with pytest.raises(TooFewOutcomesError, match="of 2 leads on the rarer side"):
        check_outcomes(label, leads)
    check_outcomes(label, np.arange(52))


@pytest.fixture
def online(db: Database) -> Database:
    """Relations of the one-lead query, and the feature table that it gives at ``NOW``."""
    query = training.Path(training.__file__).parents[1]
    text = (query / "dbt_project" / "rendered" / "one_lead_features.sql").read_text()
    text = text.replace("%(lead_id)s", "s.lead_id").replace("%(as_of)s", "s.as_of")
    moment = NOW.replace(second=0, microsecond=0)
    with db.connect() as connection:
        connection.execute(RELATIONS)
        for table, label in (("lead_features", ""), ("lead_training_set", "0 as label, ")):
            connection.execute(
                f"create table marts.{table} as with s as (select lead_id,"  # type: ignore[arg-type]
                f" timestamptz '{moment}' as as_of from intermediate.int_leads)"
                f" select 'loc' as location_id, s.lead_id as split_group, {label}f.*"
                f" from s cross join lateral ({text}) as f where f.lead_id = s.lead_id"
            )
        connection.execute("alter table marts.lead_features drop column split_group")
    return db


def test_one_lead_online_has_the_score_of_the_batch(
    online: Database, own_settings: Settings
) -> None:
    assert isinstance(train_if_possible(online, own_settings), Untrained)
    score_open_leads(online, own_settings)
    batch = stored(online)
    assert batch["score"].nunique() > 5
    with running(OnlineScorer(online, own_settings, clock=FixedClock(NOW))) as scorer:
        for row in batch.iloc[::29].itertuples():
            found = scorer.score(str(row.lead_id), as_of=row.as_of)
            assert found["score"] == row.score
            assert (found["tier"], found["reasons"]) == (row.tier, row.reasons)
            assert (found["model_name"], found["model_version"]) == (
                "rules_score", row.model_version,
            )  # fmt: skip
    replayed = replay_scores(online, own_settings, limit=1000)
    assert replayed.replayed > 400
    assert replayed.differences == ()


def test_one_lead_can_be_asked_for_before_the_first_batch(
    online: Database, own_settings: Settings
) -> None:
    found = score_lead(online, own_settings, "loc:c7", as_of=NOW - timedelta(minutes=1))
    assert found["model_version"].startswith("rules-")
    assert replay_scores(online, own_settings).differences == ()


def test_the_assets_of_a_young_location_succeed(
    online: Database, own_settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    with online.connect() as connection:
        connection.execute("alter table intermediate.int_leads add deleted_at timestamptz")
    opened = SimpleNamespace(database=online, settings=own_settings)
    monkeypatch.setattr(resources, "_opened", opened)
    chosen = [
        assets.lead_conversion, assets.lead_scores, targets.location_evidence,
        targets.lead_predictions, assets.watch_runs,
    ]  # fmt: skip
    result = dg.materialize(
        chosen,
        resources={"engine": resources.Engine()},
        instance=dg.DagsterInstance.ephemeral(),
    )
    assert result.success
    (trained,) = result.asset_materializations_for_node("ml__lead_conversion")
    assert "0 training rows that converted" in str(trained.metadata["decision"].value)
    look = watch(online, own_settings)
    assert look.verdict in {"steady", "too_few"}
