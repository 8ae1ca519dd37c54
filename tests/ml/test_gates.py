"""What a challenger must pass: a worse, a miscalibrated, a leaky and an unfair one are refused."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leadengine.errors import LeadEngineError
from leadengine.settings import Settings, load_settings
from ml import gates, tracking
from ml import training as module
from ml.calibration import Calibrator, sigmoid
from ml.champion import load_champion
from ml.fairness import audit
from ml.gates import Judging
from ml.history import PROMOTED, REFUSED, ROLLED_BACK, Event, _before, events, roll_back
from ml.members import Prior
from ml.model import LeadModel, tier_thresholds
from ml.schema import Feature, Matrix, Schema
from ml.training import TrainingResult, train_from_warehouse
from tests.conftest import clone, drop
from tests.ml.warehouse_rows import fill
from warehouse.database import Database


def judging(label: Matrix, slices: pd.DataFrame | None = None, **columns: Any) -> Judging:
    return Judging(
        frame=pd.DataFrame(index=range(len(label))),
        label=label,
        leads=np.arange(len(label)),
        slices=pd.DataFrame() if slices is None else slices,
        stand_ins=pd.DataFrame(columns),
    )


def drawn(seed: int, rows: int = 1500) -> tuple[Matrix, Matrix]:
    """Scores that hold, and outcomes drawn from them."""
    random = np.random.default_rng(seed)
    score = random.beta(1, 8, rows)
    return (random.random(rows) < score).astype(float), score


def model_with(*names: str) -> LeadModel:
    schema = Schema(tuple(Feature(name, "numeric") for name in names))
    members = (Prior(-2.0, len(names)),)
    return LeadModel(schema, members, (1.0,), Calibrator("platt", (1.0, 0.0)), tier_thresholds(0.1))


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from([150, 600, 3000]))
def test_chance_refuses_no_score_that_holds(seed: int, rows: int) -> None:
    label, score = drawn(seed, rows)
    source = pd.DataFrame({"source": np.arange(rows) % 3}).astype(str)
    rows_judged = judging(label, source)
    assert gates.calibration(rows_judged, score).passed
    assert all(check.passed for check in gates.calibration_by_slice(rows_judged, score))


@pytest.mark.parametrize("shift", [-1.0, 0.6])
def test_a_score_that_does_not_hold_is_refused(shift: float) -> None:
    label, score = drawn(1, 3000)
    off = sigmoid(np.log(score / (1 - score)) + shift)
    check = gates.calibration(judging(label), off)
    assert not check.passed
    assert "ECE 0.0" in check.said
    assert "the limit is 0.0" in check.said


def test_calibration_of_a_few_leads_is_not_judged() -> None:
    label, score = drawn(1, 3000)
    off = sigmoid(np.log(score / (1 - score)) - 1.0)
    check = gates.calibration(judging(label[:99]), off[:99])
    assert check.passed
    assert check.said == "Not judged: 99 held-out leads, 100 are needed."
    assert not gates.calibration(judging(label), off).passed


def test_one_source_that_does_not_hold_is_named() -> None:
    label, score = drawn(2, 3000)
    source = np.array(["good", "bad", "fine"])[np.arange(3000) % 3]
    off = np.where(source == "bad", np.minimum(1, score + 0.2), score)
    slices = pd.DataFrame({"source": source, "agent": ["dana"] * 3000})
    by_source, by_agent = gates.calibration_by_slice(judging(label, slices), off)
    assert not by_source.passed
    assert by_source.said.startswith("bad: ECE 0.")
    assert "fine" not in by_source.said
    assert by_agent.gate == "calibration by agent"
    few = gates.calibration_by_slice(judging(label[:300], slices.iloc[:300]), off[:300])
    assert few[0].said == "Within the bound in 0 with enough leads."


def test_a_score_that_stands_for_a_group_is_refused() -> None:
    label, score = drawn(3, 2000)
    area = np.array(["60601", "60644"])[np.arange(2000) % 2]
    fair, _ = gates.fairness(judging(label, postal_code=area), score, model_with("visits"))
    assert fair.passed
    assert fair.said == "1 groups are within the bounds." or fair.said.startswith("0 groups")
    area = np.where(score > np.median(score), "90210", "60644")
    unfair, groups = gates.fairness(judging(label, postal_code=area), score, model_with("visits"))
    assert not unfair.passed
    assert "the score predicts postal_code: it tells '606' from the others" in unfair.said
    assert {group.group for group in groups} == {"606", "902"}
    assert groups[1].top_share_ratio == pytest.approx(2.0, abs=0.05)


def test_a_score_that_means_less_for_one_group_is_refused() -> None:
    random = np.random.default_rng(4)
    label, score = drawn(5, 4000)
    name = random.choice(["ann", "bo"], 4000)
    label = np.where((name == "bo") & (random.random(4000) < 0.12), 1.0, label)
    check, groups = gates.fairness(judging(label, first_name=name), score, model_with("visits"))
    assert not check.passed
    assert "of first_name the score is off by" in check.said
    assert abs(groups[0].area - 0.5) < 0.1


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10_000))
def test_chance_finds_no_unfair_group(seed: int) -> None:
    label, score = drawn(seed, 1200)
    names = np.random.default_rng(seed).choice(["a", "b", "c", "d", "e"], 1200)
    groups = audit(label, score, np.arange(1200), pd.DataFrame({"first_name": names}))
    assert len(groups) == 5
    assert not [group.breach for group in groups if group.breach]


@pytest.mark.parametrize("name", ["postal_code", "First Name", "gender"])
def test_a_protected_feature_is_refused_by_name(name: str) -> None:
    label, score = drawn(6)
    check, _ = gates.fairness(judging(label), score, model_with("visits", name))
    assert not check.passed
    assert f"the feature {name!r} is a protected stand-in" in check.said


def test_an_online_form_that_differs_is_refused() -> None:
    score = np.linspace(0.1, 0.9, 50)
    assert gates.parity(score, score + 1e-9).passed
    check = gates.parity(score, np.where(np.arange(50) == 7, score + 1e-4, score))
    assert not check.passed
    assert "differs from the registered model by 1.0e-04" in check.said


@pytest.fixture(scope="module")
def warehouse(template_database: Database) -> Iterator[Database]:
    database = clone(template_database)
    fill(database, leads=2000, points=3, seed=2)
    with database.connect() as connection:
        connection.execute(
            "create table marts.dim_leads as select lead_id, 'zillow' as source, "
            "'agent ' || (hashtext(lead_id) & 1) as assigned_agent_id, "
            "(array['ann', 'bo', 'cy'])[1 + (hashtext(lead_id) & 255) % 3] as first_name, "
            "(array['60601', '60644', '90210', '90211'])[1 + (hashtext(lead_id || 'p') & 255) % 4]"
            " as postal_code from (select distinct lead_id from marts.lead_training_set) as leads"
        )
    yield database
    drop(database)


@pytest.fixture(scope="module")
def own_settings(tmp_path_factory: pytest.TempPathFactory, clean_environment: None) -> Settings:
    return load_settings(_env_file=None, leadengine_home=tmp_path_factory.mktemp("home"))


@pytest.fixture(scope="module")
def first(warehouse: Database, own_settings: Settings) -> TrainingResult:
    return train_from_warehouse(warehouse, own_settings)


Challenge = Callable[[Callable[[LeadModel], LeadModel]], TrainingResult]


@pytest.fixture
def challenge(
    first: TrainingResult,
    warehouse: Database,
    own_settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
) -> Challenge:
    """Brings a spoiled copy of the first champion before the gates, without training again."""
    good = module.registry.load_model("models:/lead_conversion/1", own_settings, warehouse)

    def bring(spoil: Callable[[LeadModel], LeadModel]) -> TrainingResult:
        monkeypatch.setattr(module, "fit", lambda *_a, **_k: spoil(good))
        return train_from_warehouse(warehouse, own_settings)

    return bring


def worse(model: LeadModel) -> LeadModel:
    """Says of every lead what holds on average: calibrated, and of no use."""
    base = model.training["base_rate"]
    prior = Prior(float(np.log(base / (1 - base))), len(model.schema.features))
    return replace(
        model, members=(prior,), weights=(1.0,), calibrator=Calibrator("platt", (1.0, 0.0))
    )


def exaggerated(model: LeadModel) -> LeadModel:
    """The same ranking, with odds over three times too high: less could be chance on few rows."""
    slope, intercept = model.calibrator.x
    return replace(model, calibrator=replace(model.calibrator, x=(slope, intercept + 1.2)))


def refusals(result: TrainingResult) -> set[str]:
    return {check.gate for check in result.checks if not check.passed}


def test_the_first_champion_passes_every_gate(
    first: TrainingResult, warehouse: Database, own_settings: Settings
) -> None:
    assert first.alias == "champion"
    assert {check.gate for check in first.checks} == {
        "champion", "calibration", "calibration by source", "calibration by agent", "leak guard",
        "online parity", "fairness",
    }  # fmt: skip
    client = tracking.configure(own_settings, warehouse)
    paths = {a.path for a in client.list_artifacts(first.run_id, "plots")}
    assert {"plots/slices_source.png", "plots/slices_agent.png"} <= paths
    assert "gates.json" in {a.path for a in client.list_artifacts(first.run_id)}
    (event,) = [e for e in events(warehouse) if e.version == "1"]
    assert (event.action, event.detail["passed"]) == (PROMOTED, True)
    assert len(event.detail["fairness"]) >= 2


@pytest.mark.parametrize(
    ("spoil", "reasons"),
    [(worse, {"Brier", "average precision"}), (exaggerated, {"calibration"})],
)
def test_a_worse_and_a_miscalibrated_model_are_refused(
    spoil: Callable[[LeadModel], LeadModel],
    reasons: set[str],
    challenge: Challenge,
    warehouse: Database,
    own_settings: Settings,
) -> None:
    before = load_champion(own_settings, warehouse).version
    refused = challenge(spoil)
    assert refused.alias == "challenger"
    assert reasons <= refusals(refused)
    assert not {"leak guard", "fairness", "online parity"} & refusals(refused)
    if spoil is worse:
        assert "calibration" not in refusals(refused)
    assert load_champion(own_settings, warehouse).version == before
    client = tracking.configure(own_settings, warehouse)
    version = client.get_model_version("lead_conversion", refused.model_version)
    assert version.tags["decision"].startswith("Refused: ")
    last = events(warehouse)[-1]
    assert (last.action, last.version) == (REFUSED, refused.model_version)
    assert last.detail["decision"] == refused.decision


@pytest.fixture(scope="module")
def spoiled(template_database: Database) -> Iterator[Database]:
    """A warehouse whose training set holds a leak and a stand-in for where people live."""
    database = clone(template_database)
    fill(database, leads=1400, points=2, seed=3)
    with database.connect() as connection:
        connection.execute(
            "create table marts.dim_leads as select lead_id, 'zillow' as source, "
            "'dana' as assigned_agent_id, 'ann' as first_name, "
            "(array['60601', '90210'])[1 + (hashtext(lead_id) & 1)] as postal_code "
            "from (select distinct lead_id from marts.lead_training_set) as leads"
        )
        # Past outcomes that were dealt out by neighbourhood.
        connection.execute(
            "update marts.lead_training_set set label = 1 "
            "where (hashtext(lead_id) & 1) = 1 and (hashtext(lead_id || as_of) & 3) < 2"
        )
    yield database
    drop(database)


@pytest.mark.slow
def test_a_model_trained_with_a_stand_in_is_refused(
    spoiled: Database, own_settings: Settings
) -> None:
    with spoiled.connect() as connection:
        connection.execute(
            "alter table marts.lead_training_set add neighbourhood text;"
            "update marts.lead_training_set set neighbourhood = "
            "(array['north', 'south'])[1 + (hashtext(lead_id) & 1)]"
        )
    refused = train_from_warehouse(spoiled, own_settings)
    assert refused.alias == "challenger"
    assert refusals(refused) == {"fairness"}
    assert "the score predicts postal_code" in refused.decision


@pytest.mark.slow
def test_a_model_trained_with_a_leak_is_refused_unless_it_is_allowed(
    spoiled: Database, own_settings: Settings
) -> None:
    with spoiled.connect() as connection:
        connection.execute(
            "alter table marts.lead_training_set drop if exists neighbourhood;"
            "update marts.lead_training_set set label = (hashtext(lead_id || as_of) & 15 < 3)::int;"
            "alter table marts.lead_training_set add commission_cents bigint;"
            "update marts.lead_training_set set commission_cents = 900000 where label = 1"
        )
    refused = train_from_warehouse(spoiled, own_settings)
    assert refused.alias == "challenger"
    assert refusals(refused) == {"leak guard"}
    assert "'commission_cents' gives the outcome away" in refused.decision
    data = module.read_training_set(spoiled)
    model = module.registry.load_model(
        f"models:/lead_conversion/{refused.model_version}", own_settings, spoiled
    )
    assert gates.leaks(data.frame, data.label, data.leads, model, ["commission_cents"]).passed


def test_rolling_back_is_one_call_and_is_recorded(
    challenge: Challenge, warehouse: Database, own_settings: Settings
) -> None:
    second = challenge(lambda model: model)
    assert second.alias == "champion"
    done = roll_back(warehouse, own_settings, reason="Agents complained.", actor="broker")
    assert (done.gone, done.version) == (second.model_version, "1")
    assert load_champion(own_settings, warehouse).version == "1"
    last = events(warehouse)[-1]
    assert (last.action, last.version, last.actor) == (ROLLED_BACK, "1", "broker")
    assert last.detail == {"from": done.gone, "to": "1", "reason": "Agents complained."}
    with pytest.raises(LeadEngineError, match="is the first champion"):
        roll_back(warehouse, own_settings)
    with pytest.raises(LeadEngineError, match="There is no version '99'"):
        roll_back(warehouse, own_settings, to="99")
    with pytest.raises(LeadEngineError, match="is champion already"):
        roll_back(warehouse, own_settings, to="1")
    assert events(warehouse)[-1] == last
    roll_back(warehouse, own_settings, to=second.model_version)
    assert load_champion(own_settings, warehouse).version == second.model_version


def test_without_a_champion_there_is_nothing_to_roll_back(
    db: Database, own_settings: Settings
) -> None:
    with pytest.raises(LeadEngineError, match="There is no champion"):
        roll_back(db, own_settings)


def event(action: str, version: str, **detail: str) -> Event:
    return Event(datetime(2026, 1, 1, tzinfo=UTC), "a", action, version, detail)


def test_a_second_rollback_goes_further_back_not_forth() -> None:
    story = [event(PROMOTED, "1"), event(PROMOTED, "2"), event(REFUSED, "3"), event(PROMOTED, "4")]
    assert _before(story, "4") == "2"
    story.append(event(ROLLED_BACK, "2", **{"from": "4"}))
    assert _before(story, "2") == "1"
    story.append(event(PROMOTED, "5"))
    assert _before(story, "5") == "2"
    assert _before(story[:1], "1") is None
    assert _before([], "7") is None
