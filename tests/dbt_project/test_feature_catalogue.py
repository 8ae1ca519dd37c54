"""Every feature says what it is, and none says who a person is."""

import json
import re
from typing import Any

import pytest
import yaml

from tests.dbt_project.conftest import Warehouse
from tests.dbt_project.rendering import PROJECT, RENDERED

FAMILIES = {
    "recency", "frequency", "engagement", "latency", "appointments", "opportunities", "source",
    "property interest", "agent and capacity", "time of day", "dormancy",
}  # fmt: skip
KEYS = ["lead_id", "location_id", "as_of"]
# Race, colour, religion, sex, familial status, national origin and disability (42 USC 3604, 3605),
# and what stands in for them: names, language, age, and where a person lives.
PROTECTED = re.compile(
    r"(^|_)(race|racial|ethnic\w*|colou?r|religi\w*|faith|church|sex|gender|pronouns?|title|famil\w*"
    r"|marital|married|spouse|child\w*|kids?|pregnan\w*|national\w*|citizen\w*|immigra\w*|origin"
    r"|birth\w*|age|disab\w*|handicap\w*|veteran|first_name|last_name|full_name|name|surname"
    r"|language|locale|accent|email_address|phone|address\w*|street|city|town|neighbou?rhood"
    r"|county|state|zip\w*|postal\w*|postcode|school\w*|census\w*|latitude|longitude|geo\w*)(_|$)"
)
# What the features take of a lead: nothing else of it may reach them.
INTAKE = {
    "lead_id", "location_id", "created_at", "source", "lead_intent", "timeline", "property_type",
    "beds", "price_min_cents", "price_max_cents",
}  # fmt: skip
EVENTS = {
    "event_id", "lead_id", "event_type", "channel", "direction", "outcome", "duration_seconds",
    "actor", "agent_id", "occurred_at", "known_at",
}  # fmt: skip
SQL = RENDERED.read_text(encoding="utf-8")


def columns_of(model: str) -> list[dict[str, Any]]:
    text = (PROJECT / f"models/marts/{model}.yml").read_text(encoding="utf-8")
    columns: list[dict[str, Any]] = yaml.safe_load(text)["models"][0]["columns"]
    return columns


# What a row says beside its keys that is no feature.
BESIDE = ["features_as_of", "agent_id"]
FEATURES = {
    column["name"]: column for column in columns_of("lead_features")[len(KEYS) + len(BESIDE) :]
}


def columns_read(sql: str, relation: str) -> set[str]:
    """The columns that a query takes from a relation by its name."""
    return set(re.findall(rf"\b{relation}\.(\w+)", re.sub(r"--.*", "", sql)))


@pytest.mark.parametrize("name", FEATURES)
def test_a_feature_has_a_description_a_unit_an_owner_and_a_null_rule(name: str) -> None:
    column = FEATURES[name]
    meta = column["config"]["meta"]
    assert column["description"].endswith(".")
    assert meta.keys() == {"family", "unit", "owner", "nulls"}
    assert all(isinstance(value, str) and value for value in meta.values())
    assert meta["family"] in FAMILIES


def test_there_are_features_of_every_family() -> None:
    assert {column["config"]["meta"]["family"] for column in FEATURES.values()} == FAMILIES
    assert len(FEATURES) >= 45


def test_the_yaml_and_the_macro_name_the_same_features(brokerage_warehouse: Warehouse) -> None:
    """The contract of the marts holds both to the columns that are built, types included."""
    training = columns_of("lead_training_set")
    described = {column["name"]: column["description"] for column in training}
    for name, column in FEATURES.items():
        assert described[name] == column["description"]
    selected = re.findall(r"cast\((\w+) as [\w ]+\) as \1\b", SQL)
    with brokerage_warehouse.database.connect() as connection:
        cursor = connection.execute("select * from marts.lead_features limit 0")
        built = [column.name for column in cursor.description or ()]
    assert built == [*KEYS, *BESIDE, *FEATURES] == [*KEYS, *BESIDE, *selected]


def test_null_rules_hold(brokerage_warehouse: Warehouse) -> None:
    """What is said to be 0 where there was none is never null; every other one may be."""
    never_null = [n for n, c in FEATURES.items() if c["config"]["meta"]["nulls"].startswith("0 ")]
    assert all(
        column["config"]["meta"]["nulls"].startswith(("0 ", "null if "))
        for column in FEATURES.values()
    )
    assert len(never_null) > 30
    counts = ", ".join(f"count(*) - count({name})" for name in never_null)
    with brokerage_warehouse.database.connect() as connection:
        for table in ("lead_features", "lead_training_set"):
            row = connection.execute(
                f"select {counts} from marts.{table}"  # type: ignore[arg-type]
            ).fetchone()
            assert row is not None
            assert dict(zip(never_null, row, strict=True)) == dict.fromkeys(never_null, 0)


@pytest.mark.parametrize("name", FEATURES)
def test_no_feature_is_named_for_a_protected_class_or_a_stand_in(name: str) -> None:
    assert not PROTECTED.search(name)


@pytest.mark.parametrize(
    "name", ["first_name", "lead_language", "postal_code", "zip5", "gender", "children_count",
             "religion_guess", "city", "home_state", "birth_year", "age", "national_origin"]
)  # fmt: skip
def test_such_a_name_would_be_seen(name: str) -> None:
    assert PROTECTED.search(name)


def test_features_take_nothing_from_a_lead_that_says_who_it_is() -> None:
    """By lineage: what the compiled query reads of each relation that it reads."""
    relations = set(re.findall(r'"(staging|intermediate|marts|raw_\w+|ops|ml)"\."(\w+)"', SQL))
    assert relations == {
        ("intermediate", "int_lead_timeline"), ("intermediate", "int_leads"),
        ("intermediate", "int_agent_days"), ("staging", "stg_ghl__locations"),
    }  # fmt: skip
    assert columns_read(SQL, "leads") <= INTAKE
    assert columns_read(SQL, "timeline") <= EVENTS
    assert columns_read(SQL, "locations") <= {"location_id", "timezone"}
    assert columns_read(SQL, "agent_days") <= {
        "location_id", "agent_id", "day", "touches_7d", "leads_7d",
    }  # fmt: skip
    # A star would carry everything past the checks above: those of the imports feed only
    # relations that are read by name, and the one further on is over columns chosen before.
    stars = [
        found.group(1) for found in re.finditer(r"select\s+\*,?\s.*?from (\S+)", SQL, re.DOTALL)
    ]
    assert [star.rpartition(".")[2].strip('"') for star in stars] == [
        "int_leads", "stg_ghl__locations", "int_agent_days", "int_lead_timeline",
        "visible_events", "features",
    ]  # fmt: skip


def test_the_area_is_the_location_and_nothing_finer(brokerage_warehouse: Warehouse) -> None:
    with brokerage_warehouse.database.connect() as connection:
        found = connection.execute(
            "select distinct location_id, market from marts.lead_features"
        ).fetchall()
    assert len(found) == 2
    assert all(location_id == market for location_id, market in found)


def test_the_catalogue_reaches_dbts_manifest(brokerage_warehouse: Warehouse) -> None:
    """So that dbt's docs show it."""
    manifest = json.loads((brokerage_warehouse.target / "manifest.json").read_text())
    columns = manifest["nodes"]["model.leadengine.lead_features"]["columns"]
    assert columns["reply_ratio"]["config"]["meta"]["unit"] == "ratio"
