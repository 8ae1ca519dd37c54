"""The feature macro sees nothing of the future, and is one thing to training and serving."""

import datetime as dt
import math
import operator
import re
from collections.abc import Iterator, Sequence
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, Phase, find, given, settings
from hypothesis import strategies as st
from hypothesis.errors import NoSuchExample
from psycopg.rows import dict_row

from tests.conftest import clone, drop
from tests.dbt_project.conftest import NOW, Warehouse
from tests.dbt_project.reference import AgentDays, Event, features
from tests.dbt_project.rendering import RENDERED, render

LEAD = "L:a"
LOCATION = "L"
AGENTS = ["dana", "eli"]
SQL = RENDERED.read_text(encoding="utf-8")
HOUR = dt.timedelta(hours=1)
SECOND = dt.timedelta(seconds=1)
_INTAKE = {
    "source", "lead_intent", "timeline", "property_type", "beds", "price_min_cents",
    "price_max_cents", "price_band", "market",
}  # fmt: skip
_EDGES = [dt.timedelta(days=days) for days in (0, 7, 30, 90)]

# Where mistakes hide: on the edges of the windows and of the moment, and a second off them; late
# by much, by little, or not at all; known before it happened, as appointments are.
ago = st.one_of(
    st.sampled_from(_EDGES),
    st.builds(operator.add, st.sampled_from(_EDGES), st.sampled_from([-SECOND, SECOND])),
    st.integers(-100, 3000).map(lambda hours: hours * HOUR),
    st.integers(0, 8_000_000).map(lambda seconds: dt.timedelta(seconds=seconds)),
)  # fmt: skip
delay = st.one_of(st.just(dt.timedelta()), st.integers(-48, 4000).map(lambda hours: hours * HOUR))


@st.composite
def event(draw: st.DrawFn) -> Event:
    occurred_at = NOW - draw(ago)
    known_at = draw(
        st.one_of(
            st.sampled_from([NOW - 4000 * HOUR, NOW - SECOND, NOW]),
            delay.map(lambda late: occurred_at + late),
        )
    )
    kind = draw(
        st.sampled_from(
            ["touch"] * 8
            + ["email_opened", "email_clicked", "appointment_booked", "appointment_kept",
               "appointment_no_show", "appointment_cancelled", "opportunity_created",
               "opportunity_won", "opportunity_lost"]
            # These say nothing to the features.
            + ["consent_revoked", "email_bounced", "tag_added", "opportunity_stage_changed",
               "score_tier_changed", "enrolled"]
        )
    )  # fmt: skip
    if kind != "touch":
        return Event(kind, occurred_at, known_at)
    channel = draw(st.sampled_from(["sms", "email", "call"]))
    direction = draw(st.sampled_from(["inbound", "outbound"]))
    is_call = channel == "call"
    return Event(
        kind,
        occurred_at,
        known_at,
        channel,
        direction,
        draw(st.sampled_from(["answered", "voicemail"])) if is_call else "delivered",
        draw(st.integers(0, 900)) if is_call else None,
        "lead" if direction == "inbound" else draw(st.sampled_from(["agent", "automation"])),
        draw(st.sampled_from([*AGENTS, None])),
    )


histories = st.lists(event(), max_size=14)
created = st.sampled_from([NOW - 200 * 24 * HOUR, NOW - HOUR, NOW])
# One that is hours off UTC, one that changes its clocks in spring and autumn, one by 45 minutes.
timezones = st.sampled_from(["UTC", "America/New_York", "Asia/Kathmandu"])
days_of_agents = st.dictionaries(
    st.tuples(
        st.sampled_from(AGENTS),
        st.sampled_from([(NOW - dt.timedelta(days=days)).date() for days in (-1, 0, 1)]),
    ),
    st.tuples(st.integers(1, 50), st.integers(1, 50)),
)


@pytest.fixture(scope="module")
def timeline(brokerage_warehouse: Warehouse) -> Iterator[psycopg.Connection[dict[str, Any]]]:
    """A database in which the timeline and the leads are empty, and ours to fill."""
    database = clone(brokerage_warehouse.database)
    with psycopg.connect(database.libpq_url, row_factory=dict_row) as connection:
        connection.execute(
            "truncate intermediate.int_lead_timeline, intermediate.int_leads,"
            " intermediate.int_agent_days, staging.stg_ghl__locations"
        )
        connection.commit()
        yield connection
        connection.rollback()
    drop(database)


def compute(
    connection: psycopg.Connection[dict[str, Any]],
    sql: str,
    created_at: dt.datetime,
    events: Sequence[Event],
    timezone: str = "UTC",
    days: AgentDays | None = None,
) -> dict[str, Any]:
    """The features of a lead with that history, at NOW, through ``sql``."""
    try:
        connection.execute(
            "insert into intermediate.int_leads (lead_id, location_id, created_at)"
            " values (%s, %s, %s)",
            (LEAD, LOCATION, created_at),
        )
        connection.execute(
            "insert into staging.stg_ghl__locations (location_id, timezone) values (%s, %s)",
            (LOCATION, timezone),
        )
        with connection.cursor() as cursor:
            cursor.executemany(
                "insert into intermediate.int_lead_timeline (event_id, lead_id, event_type,"
                " channel, direction, outcome, duration_seconds, actor, agent_id, occurred_at,"
                " known_at) values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)",
                [
                    (str(number), LEAD, e.event_type, e.channel, e.direction, e.outcome,
                     e.duration_seconds, e.actor, e.agent_id, e.occurred_at, e.known_at)
                    for number, e in enumerate(events)
                ],
            )  # fmt: skip
            cursor.executemany(
                "insert into intermediate.int_agent_days (location_id, agent_id, day, touches_7d,"
                " leads_7d) values (%s, %s, %s, %s, %s)",
                [(LOCATION, *key, *counts) for key, counts in (days or {}).items()],
            )
        row = connection.execute(sql, {"lead_id": LEAD, "as_of": NOW}).fetchone()
    finally:
        connection.rollback()
    assert row is not None
    return row


def differences(found: dict[str, Any], expected: dict[str, Any]) -> dict[str, tuple[Any, Any]]:
    return {
        name: (found[name], value)
        for name, value in expected.items()
        if not (
            found[name] == value
            or (
                isinstance(value, float)
                and found[name] is not None
                and math.isclose(found[name], value, rel_tol=1e-12)
            )
        )
    }


SEARCH = settings(max_examples=1000, deadline=None, phases=[Phase.generate])


@settings(
    max_examples=400,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(created_at=created, events=histories, timezone=timezones, days=days_of_agents)
def test_features_are_those_of_what_was_known(
    timeline: psycopg.Connection[dict[str, Any]],
    created_at: dt.datetime,
    events: list[Event],
    timezone: str,
    days: AgentDays,
) -> None:
    """Over histories with late, corrected and future rows, against the plain reference."""
    found = compute(timeline, SQL, created_at, events, timezone, days)
    expected = features(created_at, events, NOW, timezone=timezone, agent_days=days)
    assert differences(found, expected) == {}


def test_the_reference_covers_every_feature(brokerage_warehouse: Warehouse) -> None:
    expected = set(features(NOW - HOUR, [], NOW)) | _INTAKE
    with brokerage_warehouse.database.connect() as connection:
        cursor = connection.execute("select * from marts.lead_features limit 0")
        columns = [column.name for column in cursor.description or ()]
        cursor = connection.execute("select * from marts.lead_training_set limit 0")
        training = [column.name for column in cursor.description or ()]
    assert columns[:5] == ["lead_id", "location_id", "as_of", "features_as_of", "agent_id"]
    assert set(columns[5:]) == expected
    assert training == [*columns[:3], "split_group", "label", "agent_id", *columns[5:]]


@settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(events=histories, later=histories)
def test_what_becomes_known_later_changes_nothing(
    timeline: psycopg.Connection[dict[str, Any]], events: list[Event], later: list[Event]
) -> None:
    unknown = [Event(**(vars(e) | {"known_at": max(e.known_at, NOW)})) for e in later]
    created_at = NOW - 100 * 24 * HOUR
    assert compute(timeline, SQL, created_at, events) == compute(
        timeline, SQL, created_at, [*events, *unknown]
    )


@pytest.mark.parametrize(
    ("what", "planted"),
    [
        ("known_at", ("and timeline.known_at < spine.as_of", "")),
        ("occurred_at", ("and timeline.occurred_at < spine.as_of", "")),
        ("the moment itself", ("occurred_at < spine.as_of\n", "occurred_at <= spine.as_of\n")),
        ("the moment of knowing", ("known_at < spine.as_of\n", "known_at <= spine.as_of\n")),
        ("the start of the window", (">= spine.as_of_minus_7d", "> spine.as_of_minus_7d")),
    ],
)
def test_a_planted_leak_is_caught(
    timeline: psycopg.Connection[dict[str, Any]], what: str, planted: tuple[str, str]
) -> None:
    """The property above would fail, were the macro to forget one of its conditions."""
    leaky = SQL.replace(*planted)
    assert leaky != SQL
    created_at = NOW - 200 * 24 * HOUR

    def leaks(events: list[Event]) -> bool:
        found = compute(timeline, leaky, created_at, events)
        return bool(differences(found, features(created_at, events, NOW)))

    try:
        caught = find(histories, leaks, settings=SEARCH)
    except NoSuchExample:
        pytest.fail(f"no history shows that the macro ignores {what}")
    assert caught


def test_the_rendered_sql_is_the_macro(
    brokerage_warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in brokerage_warehouse.database.dbt_env().items():
        monkeypatch.setenv(name, value)
    assert render() == SQL, "run python -m tests.dbt_project.rendering"


@pytest.mark.parametrize(("table", "rows"), [("lead_features", "all"), ("lead_training_set", 300)])
def test_one_lead_alone_has_the_values_of_the_batch(
    brokerage_warehouse: Warehouse, table: str, rows: int | str
) -> None:
    """Training, batch scoring and the online path: one definition, value for value.

    Of the features now, every lead is compared.
    """
    with psycopg.connect(
        brokerage_warehouse.database.libpq_url, row_factory=dict_row
    ) as connection:
        batch = connection.execute(
            f"select * from marts.{table} order by md5(lead_id || as_of) limit {rows}"
        ).fetchall()
        assert len(batch) > 50
        for row in batch:
            row["as_of"] = row.pop("features_as_of", row["as_of"])
            alone = connection.execute(
                SQL, {"lead_id": row["lead_id"], "as_of": row["as_of"]}
            ).fetchall()
            assert len(alone) == 1
            assert alone[0].items() <= row.items()
            assert len(row) - len(alone[0]) == (2 if table == "lead_features" else 4)


def test_one_lead_is_looked_up_by_index(brokerage_warehouse: Warehouse) -> None:
    with brokerage_warehouse.database.connect() as connection:
        connection.execute("set local enable_seqscan = off")
        plan = connection.execute("explain " + SQL, {"lead_id": LEAD, "as_of": NOW}).fetchall()
    text = "\n".join(line for (line,) in plan)
    assert "Seq Scan on" not in text
    assert re.search(r"\(lead_id = spine\w*\.lead_id\) AND \(occurred_at <", text), text


def test_an_unknown_lead_has_no_history(brokerage_warehouse: Warehouse) -> None:
    with psycopg.connect(
        brokerage_warehouse.database.libpq_url, row_factory=dict_row
    ) as connection:
        row = connection.execute(SQL, {"lead_id": "nobody", "as_of": NOW}).fetchone()
    assert row is not None
    assert row["days_since_created"] is None
    assert row["inbound_count_total"] == 0
