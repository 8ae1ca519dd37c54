"""Past clients: an audience of their own, under the same rules as everybody."""

from datetime import timedelta
from typing import Any

import pytest

from activation.audience import AudienceError, load_audience
from activation.enrollments import advance_due
from activation.explain import explain_send
from activation.line_types import look_up_lines
from activation.plan import PlanError
from activation.preview import PreviewError, variables_of
from leadengine.clock import FixedClock
from tests.activation.batches import approved, dispatch, plan
from tests.activation.conftest import World
from tests.activation.marts import NOON_EAST, Lead, add_leads, phone, rows

CLIENTS = {"audience": "past_clients", "sequence": "past_client"}


def client(name: str, location: str, days: int = 400, **changes: Any) -> Lead:
    """Somebody whose deal was won; the marts give no score to such."""
    fields = {
        "status": "won",
        "is_open": False,
        "closed_at": NOON_EAST - timedelta(days=days),
        **changes.pop("fields", {}),
    }
    return Lead(name, location, fields=fields, **changes)


def add(world: World, *leads: Lead) -> None:
    add_leads(world.database, list(leads))
    with world.database.connect() as connection:
        connection.execute(
            "delete from marts.lead_priorities where lead_id in"
            " (select lead_id from marts.dim_leads where not is_open)"
        )


def test_clients_are_decided_about_by_the_same_rules_and_leads_are_none(world: World) -> None:
    loc = world.locations[0]
    add(
        world,
        Lead("open", loc, phone=phone(1)),
        client("lost", loc, fields={"status": "lost"}),
        client("lately", loc, days=3),
        client("yes", loc),
        client("bought", loc, phone=phone(2), sms=None, email_consent=None),
        client("stop", loc, email_consent="revoked"),
        client("dnd", loc, fields={"is_dnd_all": True}),
        client("text", loc, phone=phone(3), email=None),
    )
    found = plan(world, **CLIENTS)
    assert {
        item.contact_id: (item.decision, item.reason_code, item.channel) for item in found.items
    } == {
        "yes": ("send", "send_now", "email"),
        # Having bought is no consent.
        "bought": ("suppress", "no_consent", None),
        "stop": ("suppress", "opted_out", None),
        "dnd": ("suppress", "dnd", None),
        "text": ("send", "send_now", "sms"),
    }
    assert [item.contact_id for item in plan(world).items] == ["open"]


@pytest.mark.parametrize(
    "request_", [{"audience": "past_clients"}, {"sequence": "past_client"}], ids=str
)
def test_what_is_written_for_one_is_not_planned_for_the_other(
    world: World, request_: dict[str, str]
) -> None:
    with pytest.raises(PlanError, match="is written for"):
        plan(world, **request_)


def test_a_client_who_opens_a_deal_after_the_plan_hears_nothing_of_it(world: World) -> None:
    loc = world.locations[0]
    add(world, client("stays", loc), client("returns", loc))
    batch = approved(world, **CLIENTS)
    with world.database.connect() as connection:
        connection.execute(
            "update marts.dim_leads set status = 'open', is_open = true, closed_at = null"
            " where contact_id = 'returns'"
        )
    report = dispatch(world, batch)
    assert report.sent == {"email": 1}
    assert report.cancelled == {"lead_closed": 1}


def test_a_lead_who_has_become_a_client_hears_nothing_written_for_leads(world: World) -> None:
    add(world, Lead("buys", world.locations[0]))
    batch = approved(world)
    with world.database.connect() as connection:
        connection.execute("update marts.dim_leads set status = 'won', is_open = false")
    assert dispatch(world, batch).cancelled == {"lead_closed": 1}


def test_a_client_goes_on_to_the_second_step(world: World) -> None:
    add(world, client("stays", world.locations[0]))
    dispatch(world, approved(world, **CLIENTS))
    advance_due(world.database, world.settings, world.clock)
    advance_due(world.database, world.settings, _later(world, 1))
    advance_due(world.database, world.settings, _later(world, 27 * 7))
    assert rows(
        world.database, "select step, status, template_id from ops.sends order by step"
    ) == [
        (1, "sent", "past_client_hello.email"),
        (2, "intent", "past_client_value.email"),
    ]


def test_a_client_s_message_claims_no_score(world: World) -> None:
    add(world, client("stays", world.locations[0]))
    dispatch(world, approved(world, **CLIENTS))
    assert rows(world.database, "select count(*) from ml.lead_scores") == [(1,)], "of earlier days"
    [(send_id,)] = rows(world.database, "select send_id from ops.sends")
    proof = explain_send(world.database, send_id)
    assert proof["score"] == {"score": None, "model_version": None}
    assert proof["message"]["score"] is None


def test_lines_of_clients_are_asked_about_as_those_of_leads(world: World) -> None:
    loc = world.locations[0]
    add(
        world,
        Lead("open", loc, phone=phone(1)),
        client("won", loc, phone=phone(2)),
        client("lost", loc, phone=phone(3), fields={"status": "lost"}),
    )
    wanted = world.settings.model_copy(update={"line_type_lookups": True})
    assert look_up_lines(world.database, world.clients, wanted, world.clock).asked == 2
    assert {row[0] for row in rows(world.database, "select address from ops.phone_lines")} == {
        phone(1),
        phone(2),
    }


def test_a_template_can_be_seen_with_a_client_s_values(world: World) -> None:
    loc = world.locations[0]
    add(world, client("won", loc))
    values = variables_of(world.database, world.settings, f"{loc}:won", world.clock)
    assert values["first_name"]
    with pytest.raises(PreviewError, match="no past client 'nobody'"):
        variables_of(world.database, world.settings, "nobody", world.clock)


def test_an_audience_asks_only_what_is_known_of_its_people(tmp_path: Any) -> None:
    (tmp_path / "odd.yaml").write_text("description: x\nof: clients\nwhere: {tiers: [hot]}\n")
    with pytest.raises(AudienceError, match="tiers says nothing about clients"):
        load_audience("odd", tmp_path)
    (tmp_path / "odder.yaml").write_text("description: x\nwhere: {won_days_min: 3}\n")
    with pytest.raises(AudienceError, match="won_days_min says nothing about leads"):
        load_audience("odder", tmp_path)


def _later(world: World, days: int) -> FixedClock:
    return FixedClock(world.clock.now() + timedelta(days=days))
