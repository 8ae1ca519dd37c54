"""Write-back: what changed, nothing else, and what happens to contacts that are gone."""

import pytest

from activation.crm_fields import FIELDS
from activation.types import WritebackReport
from activation.writeback import WritebackHalted, write_back
from providers.factory import build_clients
from providers.limits import LocalRateLimiter
from tests.activation.conftest import FAST, LIMITS, World
from tests.activation.marts import Lead, add_leads, rows

_used = 0


def contacts(world: World, count: int) -> list[dict[str, str]]:
    """Contacts that no other test has written to; the sandbox is shared."""
    global _used
    everybody = sorted(world.get("/_truth/contacts"), key=lambda c: str(c["id"]))
    _used += count
    return everybody[_used - count : _used]


def score_contacts(world: World, count: int, tier: str = "hot") -> list[dict[str, str]]:
    found = contacts(world, count)
    add_leads(
        world.database,
        [
            Lead(c["id"], c["location_id"], score=0.9 - n / 100, tier=tier)
            for n, c in enumerate(found)
        ],
    )
    return found


def run(world: World) -> WritebackReport:
    return write_back(world.database, world.clients, world.settings, world.clock)


def rescore(world: World, contact: str, score: float, tier: str) -> None:
    with world.database.connect() as connection:
        connection.execute(
            "update marts.lead_priorities set score = %s, tier = %s where contact_id = %s",
            (score, tier, contact),
        )


def in_crm(world: World, contact: dict[str, str]) -> tuple[dict[str, object], list[str]]:
    client = world.clients.ghl[contact["location_id"]]
    keys = {f["id"]: f["fieldKey"] for f in client.list_custom_fields()}
    doc = client.get_contact(contact["id"])
    values = {keys[entry["id"]]: entry["value"] for entry in doc["customFields"]}
    ours = {field.key for field in FIELDS.values()}
    return (
        {key: value for key, value in values.items() if key in ours},
        sorted(tag for tag in doc.get("tags", []) if tag.startswith("score:")),
    )


def writes(world: World) -> int:
    """Requests to the CRM that change something, so far."""
    return sum(
        entry["method"] in {"PUT", "POST"} and "search" not in entry["path"]
        for entry in world.get("/_ledger/requests")
        if entry["path"].startswith("/ghl")
    )


def test_the_first_run_writes_all_the_second_nothing_and_a_change_one(world: World) -> None:
    people = score_contacts(world, 12)
    first = run(world)
    assert (first.written, first.failed, first.gone, first.errors) == (12, 0, 0, [])
    values, tags = in_crm(world, people[0])
    assert str(values["contact.lead_score"]) == "90"
    assert values["contact.lead_tier"] == "hot"
    assert values["contact.lead_score_reason"] == "Asked twice"
    assert values["contact.lead_scored_at"]
    assert tags == ["score:hot"]

    before = writes(world)
    second = run(world)
    assert (second.written, second.unchanged) == (0, 12)
    assert writes(world) == before

    rescore(world, people[3]["id"], 0.55, "warm")
    third = run(world)
    assert (third.written, third.unchanged, third.tag_changes) == (1, 11, 1)
    values, tags = in_crm(world, people[3])
    assert (str(values["contact.lead_score"]), tags) == ("55", ["score:warm"])
    assert run(world).written == 0


def test_only_the_wanted_tiers_and_those_that_fell_out_of_them(world: World) -> None:
    people = score_contacts(world, 6)
    for contact, tier in zip(people[3:], ["cool", "cold", "cool"], strict=True):
        rescore(world, contact["id"], 0.1, tier)
    assert run(world).written == 3
    assert in_crm(world, people[4])[1] == []
    # One falls: that is told once, and not again while it stays down.
    rescore(world, people[0]["id"], 0.2, "cool")
    assert run(world).written == 1
    assert in_crm(world, people[0])[1] == ["score:cool"]
    rescore(world, people[0]["id"], 0.15, "cool")
    assert run(world).written == 0
    # One is won and has no score any more.
    with world.database.connect() as connection:
        connection.execute(
            "delete from marts.lead_priorities where contact_id = %s", (people[1]["id"],)
        )
    assert run(world).written == 1
    values, tags = in_crm(world, people[1])
    assert (values["contact.lead_tier"], tags) == ("closed", [])
    assert run(world).written == 0


def test_a_deleted_contact_is_noted_and_left_alone(world: World) -> None:
    people = score_contacts(world, 2)
    gone = Lead("doesnotexist00000000", people[0]["location_id"])
    add_leads(world.database, [gone])
    report = run(world)
    assert (report.written, report.gone, report.failed) == (2, 1, 0)
    assert rows(world.database, "select contact_id from ops.crm_writes where status = 'gone'") == [
        (gone.contact_id,)
    ]
    before = writes(world)
    assert run(world).gone == 0
    assert writes(world) == before


def test_it_goes_on_where_it_was_cut_off(world: World) -> None:
    people = score_contacts(world, 10)
    world.fault(provider="ghl", kind="status", value=422, rate=0.5, method="PUT")
    first = run(world)
    world.no_faults()
    assert first.failed > 0
    assert first.written + first.failed == 10
    second = run(world)
    assert (second.written, second.unchanged) == (first.failed, first.written)
    assert all(in_crm(world, contact)[1] == ["score:hot"] for contact in people)


def test_tags_that_could_not_be_set_are_set_next_time(world: World) -> None:
    people = score_contacts(world, 5)
    world.fault(provider="ghl", kind="status", value=422, rate=1, path="/tags/update")
    first = run(world)
    world.no_faults()
    assert (first.written, first.tag_changes) == (5, 0)
    assert first.errors
    second = run(world)
    assert second.written == 0
    assert second.tag_changes == 5
    assert all(in_crm(world, contact)[1] == ["score:hot"] for contact in people)


def test_a_tag_left_by_an_earlier_installation_is_cleared(world: World) -> None:
    [contact] = score_contacts(world, 1)
    client = world.clients.ghl[contact["location_id"]]
    client.bulk_tags("add", [contact["id"]], ["score:warm", "buyer"])
    run(world)
    assert in_crm(world, contact)[1] == ["score:hot"]
    assert "buyer" in client.get_contact(contact["id"])["tags"]


def test_fields_are_made_once(world: World) -> None:
    score_contacts(world, 4)
    run(world)
    for client in world.clients.ghl.values():
        names = [field["name"] for field in client.list_custom_fields()]
        assert len(names) == len(set(names))
    with world.database.connect() as connection:
        connection.execute("delete from ops.crm_writes")
    assert run(world).fields_created == 0


def test_a_refused_token_stops_with_a_clear_word(world: World) -> None:
    score_contacts(world, 3)
    world.fault(provider="ghl", kind="status", value=401, rate=1)
    with (
        build_clients(world.settings, LocalRateLimiter(), limits=LIMITS, policy=FAST) as clients,
        pytest.raises(WritebackHalted, match="refuses our token"),
    ):
        write_back(world.database, clients, world.settings, world.clock)
    assert rows(world.database, "select count(*) from ops.crm_writes") == [(0,)]
