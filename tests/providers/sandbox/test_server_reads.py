"""Look-ups of the GHL part beyond paging: search words, filters, the lesser endpoints."""

from __future__ import annotations

from typing import Any

import pytest

from tests.providers.sandbox.conftest import World

Json = dict[str, Any]


@pytest.fixture(scope="module")
def known(world: World) -> Json:
    """A contact with an email and a phone that nobody else has."""
    body = {
        "locationId": world.location["id"],
        "firstName": "Quentin",
        "lastName": "Zyx",
        "email": "quentin.zyx@example.com",
        "phone": "+1 727-556-0909",
        "source": "Lookup",
        "tags": ["looked-up"],
    }
    found: Json = world.ghl.post("/contacts/upsert", json=body).json()["contact"]
    return found


def test_phones_are_kept_without_punctuation(known: Json) -> None:
    assert known["phone"] == "+17275560909"


@pytest.mark.parametrize(
    "extra",
    [
        {"query": "zyx"},
        {"query": "quentin z"},
        {"filters": [{"field": "email", "operator": "eq", "value": "QUENTIN.ZYX@example.com"}]},
        {"filters": [{"field": "email", "operator": "contains", "value": "zyx@"}]},
        {"filters": [{"field": "tags", "operator": "eq", "value": ["looked-up"]}]},
        {"filters": [{"field": "tags", "operator": "contains", "value": "looked"}]},
        {"filters": [{"field": "firstNameLowerCase", "operator": "eq", "value": "quentin"}]},
        {
            "filters": [
                {
                    "group": "AND",
                    "filters": [
                        {"field": "source", "operator": "eq", "value": "Lookup"},
                        {"field": "dnd", "operator": "not_eq", "value": True},
                        {"field": "phone", "operator": "exists"},
                    ],
                }
            ]
        },
        {"query": "zyx", "sort": [{"field": "email", "direction": "asc"}]},
    ],
)
def test_a_contact_is_found(world: World, known: Json, extra: Json) -> None:
    assert [c["id"] for c in world.contacts(**extra)] == [known["id"]]


def test_custom_fields_can_be_searched(world: World, known: Json) -> None:
    fields = world.ghl.get(f"/locations/{world.location['id']}/customFields").json()
    field = next(f for f in fields["customFields"] if f["fieldKey"] == "contact.price_max")
    change = {"customFields": [{"key": "price_max", "field_value": 987654}]}
    world.ghl.put(f"/contacts/{known['id']}", json=change)
    name = f"customFields.{field['id']}"
    above = {"field": name, "operator": "range", "value": {"gt": 987653, "lte": 987654}}
    assert [c["id"] for c in world.contacts(filters=[above])] == [known["id"]]


@pytest.mark.parametrize(
    "body",
    [
        {"pageLimit": 501},
        {"pageLimit": 0},
        {"pageLimit": 10, "page": 0},
        {"pageLimit": 10, "searchAfter": ["x"]},
        {"pageLimit": 10, "searchAfter": ["x", "y"]},
        {"pageLimit": 10, "sort": [{"field": "shoe size", "direction": "asc"}]},
        {"pageLimit": 10, "sort": [{"field": "email", "direction": "sideways"}]},
        {
            "pageLimit": 10,
            "filters": [{"field": "dateAdded", "operator": "range", "value": {"near": 1}}],
        },
    ],
)
def test_searches_that_make_no_sense(world: World, body: Json) -> None:
    asked = {"locationId": world.location["id"], **body}
    assert world.ghl.post("/contacts/search", json=asked).status_code == 422


def test_pages_by_number_end_at_ten_thousand(world: World) -> None:
    first = world.contacts(pageLimit=5)
    second = world.contacts(pageLimit=5, page=2)
    assert not {c["id"] for c in first} & {c["id"] for c in second}
    body = {"locationId": world.location["id"], "pageLimit": 500, "page": 21}
    assert world.ghl.post("/contacts/search", json=body).status_code == 400


def test_the_old_contact_list(world: World, known: Json) -> None:
    params = {"locationId": world.location["id"], "limit": "30"}
    seen: list[str] = []
    while True:
        page = world.ghl.get("/contacts/", params=params).json()["contacts"]
        seen += [c["id"] for c in page]
        if len(page) < 30:
            break
        last = world.contacts(pageLimit=500)
        searched = {c["id"]: c["searchAfter"] for c in last}
        params["startAfter"] = str(searched[page[-1]["id"]][0])
        params["startAfterId"] = page[-1]["id"]
    assert len(seen) == len(set(seen)) == len(world.contacts(pageLimit=500))
    found = world.ghl.get("/contacts/", params={**params, "query": "zyx", "startAfter": ""})
    assert found.status_code == 200


def test_duplicates_are_found_by_email_or_phone(world: World, known: Json) -> None:
    path = "/contacts/search/duplicate"
    location = {"locationId": world.location["id"]}
    for query in ({"email": known["email"]}, {"number": known["phone"]}):
        found = world.ghl.get(path, params={**location, **query}).json()["contact"]
        assert found["id"] == known["id"]
    nobody = world.ghl.get(path, params={**location, "email": "nobody@example.com"}).json()
    assert nobody == {"contact": None}


def test_opportunity_filters(world: World) -> None:
    location = {"location_id": world.location["id"], "limit": "100"}
    everything = world.ghl.get("/opportunities/search", params=location).json()["opportunities"]
    one = next(o for o in everything if o["status"] == "open")
    for query in (
        {"id": one["id"]},
        {"contact_id": one["contactId"]},
        {"status": "open", "pipeline_id": one["pipelineId"]},
        {"assigned_to": one["assignedTo"], "order": "added_asc"},
    ):
        found = world.ghl.get("/opportunities/search", params={**location, **query}).json()
        assert one["id"] in [o["id"] for o in found["opportunities"]], query
    body = {
        "locationId": world.location["id"],
        "limit": 100,
        "filters": [{"field": "status", "operator": "eq", "value": "open"}],
        "sort": [{"field": "date_updated", "direction": "asc"}],
    }
    found = world.ghl.post("/opportunities/search", json=body).json()
    assert {o["status"] for o in found["opportunities"]} == {"open"}
    assert found["total"] == len(found["opportunities"])
    for wrong in ({"status": "sleeping"}, {"colour": "blue"}, {"date": "2026-01-01"}):
        answer = world.ghl.get("/opportunities/search", params={**location, **wrong})
        assert answer.status_code == 422
    path = f"/opportunities/{one['id']}"
    assert world.ghl.put(f"{path}/status", json={"status": "lost"}).json() == {"succeded": True}
    assert world.ghl.get(path).json()["opportunity"]["status"] == "lost"
    assert world.ghl.put(path, json={"status": "asleep"}).status_code == 422
    assert world.ghl.get("/opportunities/missing").status_code == 400


def test_conversations_of_a_contact_and_by_page(world: World) -> None:
    client = world.ghl_client(version="2021-04-15")
    location = {"locationId": world.location["id"]}
    path = "/conversations/search"
    first = client.get(path, params={**location, "limit": "5"}).json()["conversations"]
    edge = str(first[-1]["lastMessageDate"])
    later = client.get(path, params={**location, "limit": "5", "startAfterDate": edge}).json()
    assert not {c["id"] for c in first} & {c["id"] for c in later["conversations"]}
    mine = client.get(path, params={**location, "contactId": first[0]["contactId"]}).json()
    assert first[0]["id"] in [c["id"] for c in mine["conversations"]]
    messages = f"/conversations/{first[0]['id']}/messages"
    seen: list[str] = []
    params = {"limit": "2"}
    while True:
        page = client.get(messages, params=params).json()
        seen += [m["id"] for m in page["messages"]]
        if not page["nextPage"]:
            break
        params["lastMessageId"] = page["lastMessageId"]
    assert len(seen) == len(set(seen)) > 0
    export = client.get(
        "/conversations/messages/export", params={**location, "conversationId": first[0]["id"]}
    ).json()
    assert {m["id"] for m in export["messages"]} <= set(seen)
    assert client.get("/conversations/missing").status_code == 400
    missing = {"lastMessageId": "missing"}
    assert client.get(messages, params=missing).status_code == 400


def test_sending_through_ghl_needs_an_address_and_words(world: World, known: Json) -> None:
    client = world.ghl_client(version="2021-04-15")
    nameless = world.ghl.post(
        "/contacts/", json={"locationId": world.location["id"], "firstName": "No address"}
    ).json()["contact"]
    body = {"type": "SMS", "contactId": nameless["id"], "message": "Hi"}
    assert client.post("/conversations/messages", json=body).status_code == 400
    empty = {"type": "SMS", "contactId": known["id"]}
    assert client.post("/conversations/messages", json=empty).status_code == 400
    fax = {**body, "type": "Fax"}
    assert client.post("/conversations/messages", json=fax).status_code == 422
    email = {"type": "Email", "contactId": known["id"], "html": "<p>Hi</p>", "subject": "S"}
    sent = client.post("/conversations/messages", json=email).json()
    read = client.get(f"/conversations/messages/email/{sent['messageId']}").json()
    assert (read["to"], read["subject"]) == ([known["email"]], "S")


def test_users_and_locations_by_search(world: World) -> None:
    company = world.process.credentials["ghl"]["company_id"]
    users = world.ghl.get("/users/search", params={"companyId": company}).json()["users"]
    wanted = {"companyId": company, "query": users[0]["email"]}
    found = world.ghl.get("/users/search", params=wanted).json()["users"]
    assert [u["id"] for u in found] == [users[0]["id"]]
    assert world.ghl.get("/users/search", params={"companyId": "x"}).status_code == 403
    assert world.ghl.get("/users/missing").status_code == 400
    locations = world.ghl.get("/locations/search").json()["locations"]
    assert [entry["id"] for entry in locations] == [world.location["id"]]
    path = f"/locations/{world.location['id']}"
    assert world.ghl.get(f"{path}/customValues").json() == {"customValues": []}
    assert world.ghl.get(f"{path}/customFields/contact.price_max").status_code == 200
    assert world.ghl.get(f"{path}/customFields/missing").status_code == 400


def test_a_queued_message_can_be_cancelled_a_sent_one_not(world: World) -> None:
    sid = world.text("+18135550990").json()["sid"]
    path = f"/Messages/{sid}.json"
    assert world.twilio.post(path, data={"Status": "canceled"}).json()["status"] == "canceled"
    world.later(60)
    assert world.twilio.get(path).json()["status"] == "canceled"
    sid = world.text("+18135550990").json()["sid"]
    world.later(60)
    answer = world.twilio.post(f"/Messages/{sid}.json", data={"Status": "canceled"})
    assert (answer.status_code, answer.json()["code"]) == (400, 30409)


def test_own_addresses_refuse_nonsense(world: World) -> None:
    assert world.own.get("/_nothing").status_code == 404
    assert world.own.post("/_clock", json={"advance_seconds": -1}).status_code == 422
    assert world.own.post("/_webhooks", json={"provider": "x"}).status_code == 422
    wrong = {"provider": "ghl", "url": "ftp://example.com"}
    assert world.own.post("/_webhooks", json=wrong).status_code == 422
    assert world.own.post("/_faults", content=b"{").status_code == 422
    assert world.own.get("/_ledger/messages?after=x").status_code == 422
    person = {"from": "+18135550101", "to": "+10000000000", "body": "Hi"}
    assert world.own.post("/_people/text", json=person).status_code == 422
    ledger = world.ledger()
    tail = world.own.get(f"/_ledger/messages?after={len(ledger) - 1}").json()
    assert tail == ledger[-1:]
    requests = world.own.get("/_ledger/requests?limit=3").json()
    assert set(requests[0]) >= {"provider", "method", "path", "status", "time"}


def test_unreadable_bodies(world: World) -> None:
    assert world.ghl.post("/contacts/upsert", content=b"{").status_code == 400
    assert world.sendgrid.post("/v3/mail/send", content=b"{").status_code == 400
    assert world.apollo.post("/people/match", content=b"{").status_code == 400
    assert world.anthropic.post("/v1/messages", content=b"{").status_code == 400
    assert world.sendgrid.put("/v3/mail/send").status_code == 405
    assert world.twilio.put("/Messages.json").status_code == 405
