"""Write-back: what changed, nothing else, and what happens to contacts that are gone."""

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from psycopg.types.json import Jsonb

from activation.crm_actions import due_at
from activation.crm_fields import FIELDS
from activation.crm_halt import WritebackHalted
from activation.types import WritebackReport
from activation.writeback import write_back
from providers.factory import build_clients
from providers.limits import LocalRateLimiter
from tests.activation.batches import approved, dispatch
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
    people = score_contacts(world, 6)
    world.fault(provider="ghl", kind="status", value=422, rate=0.5, method="PUT")
    first = run(world)
    world.no_faults()
    assert first.failed > 0
    assert first.written + first.failed == 6
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


def edit(world: World, contact: dict[str, str], field: str, value: str) -> None:
    """Somebody changes one of our fields in the CRM."""
    client = world.clients.ghl[contact["location_id"]]
    [field_id] = [
        f["id"] for f in client.list_custom_fields() if f["fieldKey"] == FIELDS[field].key
    ]
    client.update_contact(contact["id"], {field_id: value})


def edits(world: World) -> list[tuple[str, str]]:
    return rows(
        world.database,
        "select action, detail ->> 'field' from ops.audit_trail where entity = 'crm_contact'"
        " order by audit_id",
    )  # type: ignore[return-value]


def test_an_edit_of_the_score_is_overwritten_and_noted_and_a_next_action_stands(
    world: World,
) -> None:
    [contact] = score_contacts(world, 1)
    run(world)
    assert in_crm(world, contact)[0]["contact.lead_next_action"] == "Call today"
    edit(world, contact, "score", "12")
    edit(world, contact, "next_action", "Ask for Ann's sister")
    rescore(world, contact["id"], 0.8, "hot")
    report = run(world)
    assert (report.written, report.conflicts) == (1, 2)
    values, _ = in_crm(world, contact)
    assert str(values["contact.lead_score"]) == "80"
    assert values["contact.lead_next_action"] == "Ask for Ann's sister"
    assert edits(world) == [("crm_edit_overwritten", "score"), ("crm_edit_kept", "next_action")]
    # It stands while the tier does, and is told once.
    rescore(world, contact["id"], 0.7, "hot")
    assert run(world).conflicts == 0
    assert in_crm(world, contact)[0]["contact.lead_next_action"] == "Ask for Ann's sister"
    rescore(world, contact["id"], 0.5, "warm")
    assert run(world).conflicts == 0
    assert in_crm(world, contact)[0]["contact.lead_next_action"] == "Call this week"


def test_an_edit_that_a_load_found_is_put_right_without_a_new_score(world: World) -> None:
    first, second = score_contacts(world, 2)
    run(world)
    edit(world, first, "tier", "platinum")
    with world.database.connect() as connection:
        connection.execute(
            "create table raw_ghl.contacts (id text, location_id text, custom_fields jsonb,"
            " _loaded_at timestamptz)"
        )
        connection.execute(
            "create table raw_ghl.custom_fields (id text, location_id text, field_key text)"
        )
        for contact in (first, second):
            client = world.clients.ghl[contact["location_id"]]
            connection.execute(
                "insert into raw_ghl.contacts values (%s, %s, %s, %s)",
                (
                    contact["id"], contact["location_id"],
                    Jsonb(client.get_contact(contact["id"])["customFields"]),
                    world.clock.now(),
                ),
            )  # fmt: skip
        for location_id, client in world.clients.ghl.items():
            for field in client.list_custom_fields():
                connection.execute(
                    "insert into raw_ghl.custom_fields values (%s, %s, %s)",
                    (field["id"], location_id, field["fieldKey"]),
                )
    report = run(world)
    assert (report.written, report.unchanged, report.conflicts) == (1, 1, 1)
    assert in_crm(world, first)[0]["contact.lead_tier"] == "hot"
    assert run(world).written == 0


def our_tasks(world: World, contact: dict[str, str]) -> list[dict[str, object]]:
    client = world.clients.ghl[contact["location_id"]]
    return [
        task
        for task in client.list_contact_tasks(contact["id"])
        if "[engine " in str(task.get("body"))
    ]


def our_notes(world: World, contact: dict[str, str]) -> list[dict[str, object]]:
    client = world.clients.ghl[contact["location_id"]]
    return [
        note for note in client.list_notes(contact["id"]) if "[engine " in str(note.get("body"))
    ]


def test_the_hottest_get_a_task_once_a_reason_for_their_agent(world: World) -> None:
    people = score_contacts(world, 4)
    rescore(world, people[3]["id"], 0.5, "warm")
    owner = world.clients.ghl[people[0]["location_id"]].list_users()[0]["id"]
    with world.database.connect() as connection:
        connection.execute(
            "update marts.dim_leads set assigned_agent_id = %s where contact_id = %s",
            (owner, people[0]["id"]),
        )
    assert run(world).tasks == 3
    [task] = our_tasks(world, people[0])
    assert task["assignedTo"] == owner
    assert task["title"] == "Call this lead: 90 % likely to convert"
    assert str(task["body"]).startswith("Asked twice.\n")
    assert our_tasks(world, people[3]) == []
    assert run(world).tasks == 0
    with world.database.connect() as connection:
        connection.execute(
            'update marts.lead_priorities set reasons = \'[{"feature": "y",'
            ' "sentence": "Came back"}]\' where contact_id = %s',
            (people[0]["id"],),
        )
    assert run(world).tasks == 0, "one a week at most"
    world.clock.advance(timedelta(days=8))
    assert run(world).tasks == 1
    assert len(our_tasks(world, people[0])) == 2


def test_only_so_many_tasks_a_day(world: World) -> None:
    people = score_contacts(world, 3)
    world.settings = world.settings.model_copy(update={"writeback_tasks_a_day": 1})
    locations = {contact["location_id"] for contact in people}
    assert run(world).tasks == len(locations)
    assert run(world).tasks == 0
    world.clock.advance(timedelta(hours=25))
    assert run(world).tasks > 0


@pytest.mark.parametrize(
    ("now", "due"),
    [
        ("2026-07-01T15:00:00+00:00", "2026-07-02T17:00:00-04:00"),
        # Late on Thursday in New York; on Friday Independence Day is observed.
        ("2026-07-03T02:00:00+00:00", "2026-07-06T17:00:00-04:00"),
        ("2026-11-25T15:00:00+00:00", "2026-11-27T17:00:00-05:00"),
        ("2026-12-31T23:00:00+00:00", "2027-01-04T17:00:00-05:00"),
    ],
)
def test_a_task_is_due_on_the_next_business_day(now: str, due: str) -> None:
    found = due_at(datetime.fromisoformat(now), ZoneInfo("America/New_York"))
    assert found == datetime.fromisoformat(due)


def test_each_message_leaves_one_note(world: World) -> None:
    people = score_contacts(world, 2)
    dispatch(world, approved(world))
    assert run(world).notes == 2
    [note] = our_notes(world, people[0])
    assert str(note["body"]).startswith("Email sent ")
    assert "sequence hot_follow_up, step 1, approved by Bo Broker." in str(note["body"])
    assert run(world).notes == 0
    assert rows(
        world.database, "select count(*), count(provider_id) from ops.crm_actions where kind='note'"
    ) == [(2, 2)]


def test_lost_answers_and_kills_make_nothing_twice(world: World) -> None:
    people = score_contacts(world, 4)
    dispatch(world, approved(world))
    world.fault(provider="ghl", kind="drop_response", rate=0.5, method="POST", path="/notes")
    world.fault(provider="ghl", kind="drop_response", rate=0.5, method="POST", path="/tasks")
    first = run(world)
    world.no_faults()
    assert first.actions_waiting > 0
    # As a killed run leaves them: begun, made in the CRM or not, and nobody knows.
    with world.database.connect() as connection:
        connection.execute(
            "update ops.crm_actions set status = 'trying', provider_id = null, tried_at = %s"
            " where action_id in (select action_id from ops.crm_actions where status = 'done'"
            " limit 3)",
            (world.clock.now(),),
        )
    soon = run(world)
    assert soon.actions_waiting == first.actions_waiting + min(3, first.tasks + first.notes)
    assert (soon.tasks, soon.notes, soon.actions_found) == (0, 0, 0)
    later = write_back(
        world.database, world.clients, world.settings, world.clock, grace=timedelta(0)
    )
    assert later.actions_waiting == 0
    assert later.actions_found == soon.actions_waiting
    for contact in people:
        assert (len(our_tasks(world, contact)), len(our_notes(world, contact))) == (1, 1)


def test_what_never_arrived_is_made_by_the_next_run(world: World) -> None:
    people = score_contacts(world, 2)
    run_before = world.clock.now()
    world.fault(provider="ghl", kind="status", value=422, rate=1, path="/tasks")
    assert run(world).tasks == 0
    world.no_faults()
    with world.database.connect() as connection:
        connection.execute(
            "update ops.crm_actions set status = 'trying', tried_at = %s", (run_before,)
        )
    later = write_back(
        world.database, world.clients, world.settings, world.clock, grace=timedelta(0)
    )
    assert (later.tasks, later.actions_found) == (2, 0)
    assert [len(our_tasks(world, contact)) for contact in people] == [1, 1]


def test_workflows_are_entered_once_and_a_lost_answer_is_for_a_person(world: World) -> None:
    people = score_contacts(world, 2)
    client = world.clients.ghl[people[0]["location_id"]]
    flows = {flow["status"]: flow["id"] for flow in client.list_workflows()}
    location = people[0]["location_id"]
    world.settings = world.settings.model_copy(
        update={
            "writeback_workflows": (
                (location, "hot", flows["published"]),
                (location, "warm", "nowhere"),
            )
        }
    )
    here = sum(contact["location_id"] == location for contact in people)
    world.fault(provider="ghl", kind="drop_response", rate=1, method="POST", path="/workflow/")
    first = run(world)
    world.no_faults()
    assert (first.enrollments, first.actions_waiting) == (0, here)
    assert any("WRITEBACK_WORKFLOWS: nowhere" in error for error in first.errors)
    later = write_back(
        world.database, world.clients, world.settings, world.clock, grace=timedelta(0)
    )
    assert (later.enrollments, later.actions_unsettled) == (0, here)
    with world.database.connect() as connection:
        connection.execute("delete from ops.crm_actions where kind = 'workflow'")
    assert run(world).enrollments == here
    assert run(world).enrollments == 0
