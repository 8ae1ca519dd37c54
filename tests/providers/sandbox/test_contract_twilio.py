"""The Twilio part answers as Twilio's OpenAPI says, and the official SDK can read it."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from twilio.rest import Client

from tests.providers.sandbox.answers import faults
from tests.providers.sandbox.conftest import World

FILE = "twilio/twilio_api_v2010.json"
ROOT = "/2010-04-01/Accounts/{AccountSid}"


def judged(answer: httpx.Response, method: str, path: str, status: int) -> Any:
    assert answer.status_code == status, answer.text
    assert faults(FILE, method, f"{ROOT}{path}", status, answer.json()) == []
    return answer.json()


def test_message_is_created_fetched_and_listed(world: World) -> None:
    made = judged(world.text("+18135550777", "Hi", send_id="one"), "POST", "/Messages.json", 201)
    assert (made["status"], made["date_sent"], made["num_segments"]) == ("queued", None, "1")
    fetched = world.twilio.get(f"/Messages/{made['sid']}.json")
    assert judged(fetched, "GET", "/Messages/{Sid}.json", 200)["sid"] == made["sid"]
    listed = world.twilio.get("/Messages.json", params={"To": "+18135550777"})
    page = judged(listed, "GET", "/Messages.json", 200)
    assert [m["sid"] for m in page["messages"]] == [made["sid"]]
    entry = next(e for e in world.ledger() if e["id"] == made["sid"])
    assert (entry["tag"], entry["channel"], entry["to"]) == ("one", "sms", "+18135550777")


def test_statuses_move_on_with_time(world: World) -> None:
    sids = [world.text(f"+1813556{n:04}").json()["sid"] for n in range(40)]
    world.later(600)
    messages = [world.twilio.get(f"/Messages/{sid}.json").json() for sid in sids]
    assert {m["status"] for m in messages} <= {"delivered", "undelivered"}
    assert sum(m["status"] == "delivered" for m in messages) > 30
    for message in messages:
        assert message["date_sent"] is not None
        assert (message["error_code"] is None) == (message["status"] == "delivered")
        assert faults(FILE, "GET", f"{ROOT}/Messages/{{Sid}}.json", 200, message) == []


@pytest.mark.parametrize(
    ("form", "code"),
    [
        ({"To": ""}, 21604),
        ({"From": ""}, 21603),
        ({"Body": ""}, 21602),
        ({"To": "8135550101"}, 21211),
        ({"To": "+1813555"}, 21211),
        ({"To": "+10135550101"}, 21211),
        ({"To": "not a number"}, 21211),
        ({"From": "+15005550006"}, 21606),
        ({"Body": "x" * 1601}, 21617),
    ],
)
def test_what_twilio_refuses(world: World, form: dict[str, str], code: int) -> None:
    before = len(world.ledger())
    data = {"To": "+18135550101", "From": world.location["from_number"], "Body": "Hi", **form}
    answer = world.twilio.post("/Messages.json", data=data)
    error = answer.json()
    assert answer.status_code == 400
    assert (error["code"], error["status"]) == (code, 400)
    assert error["more_info"] == f"https://www.twilio.com/docs/errors/{code}"
    assert len(world.ledger()) == before


def test_wrong_credentials_and_unknown_things(world: World) -> None:
    root = str(world.twilio.base_url).rstrip("/")
    wrong = httpx.get(f"{root}/Messages.json", auth=(world.account, "wrong"))
    assert (wrong.status_code, wrong.json()["code"]) == (401, 20003)
    missing = world.twilio.get("/Messages/SMmissing.json")
    assert (missing.status_code, missing.json()["code"]) == (404, 20404)
    other = root.replace(world.account, "AC" + "0" * 32)
    answer = httpx.get(f"{other}/Messages.json", auth=world.twilio.auth)
    assert (answer.status_code, answer.json()["code"]) == (404, 20404)


@pytest.mark.parametrize(
    ("text", "segments"),
    [
        ("a" * 160, 1),
        ("a" * 161, 2),
        ("€" * 80, 1),
        ("€" * 81, 2),
        ("é" * 160, 1),
        ("ç" * 70, 1),
        ("ç" * 71, 2),
        ("\U0001f3e0" * 35, 1),
        ("\U0001f3e0" * 36, 2),
    ],
)
def test_segments_are_counted(world: World, text: str, segments: int) -> None:
    assert world.text("+18135550778", text).json()["num_segments"] == str(segments)


def test_stop_is_obeyed_and_start_undoes_it(world: World) -> None:
    person, us = "+18135550779", world.location["from_number"]
    texted = {"from": person, "to": us, "body": " Stop "}
    assert world.own.post("/_people/text", json=texted).status_code == 201
    refused = world.text(person)
    assert (refused.status_code, refused.json()["code"]) == (400, 21610)
    listed = world.twilio.get("/Messages.json", params={"To": person}).json()["messages"]
    assert [m["direction"] for m in listed] == ["outbound-reply"]
    inbound = world.twilio.get("/Messages.json", params={"From": person}).json()["messages"]
    assert [(m["direction"], m["body"]) for m in inbound] == [("inbound", " Stop ")]
    # In plain language it is ours to understand; Twilio goes on.
    world.own.post("/_people/text", json={**texted, "body": "START"})
    world.own.post("/_people/text", json={**texted, "body": "please stop texting me"})
    assert world.text(person).status_code == 201


def test_date_filters_and_sdk(world: World) -> None:
    token = world.process.credentials["twilio"]["auth_token"]
    made = world.text("+18135550780", "for the sdk").json()
    day = made["date_created"]
    params = {"To": "+18135550780", "DateSent>": "2020-01-01"}
    assert len(world.twilio.get("/Messages.json", params=params).json()["messages"]) == 1
    params = {"To": "+18135550780", "DateSent<": "2020-01-01"}
    assert world.twilio.get("/Messages.json", params=params).json()["messages"] == []
    params = {"To": "+18135550780", "DateSent": "yesterday"}
    assert world.twilio.get("/Messages.json", params=params).status_code == 400
    client = Client(world.account, token)
    client.api.base_url = f"{world.process.url}/twilio"
    read = client.messages.list(to="+18135550780")
    assert [(m.sid, m.body) for m in read] == [(made["sid"], "for the sdk")]
    since = read[0].date_created
    assert client.messages.list(to="+18135550780", date_sent_after=since)[0].sid == made["sid"]
    assert day


def test_paging_gives_each_message_once_while_more_arrive(world: World) -> None:
    person = "+18135550781"
    wanted = [world.text(person, f"number {n}").json()["sid"] for n in range(23)]
    seen: list[str] = []
    uri: str | None = f"/2010-04-01/Accounts/{world.account}/Messages.json?To=%2B{person[1:]}"
    uri += "&PageSize=5"
    while uri:
        page = world.twilio.get(f"{world.process.url}/twilio{uri}").json()
        seen += [m["sid"] for m in page["messages"]]
        world.text(person, "one more")
        uri = page["next_page_uri"]
    assert seen == wanted[::-1]


def test_calls_and_recordings(world: World) -> None:
    calls = judged(world.twilio.get("/Calls.json"), "GET", "/Calls.json", 200)["calls"]
    path = "/Recordings.json"
    recordings = judged(world.twilio.get(path), "GET", path, 200)["recordings"]
    for call in calls[:3]:
        one = world.twilio.get(f"/Calls/{call['sid']}.json")
        judged(one, "GET", "/Calls/{Sid}.json", 200)
    for recording in recordings[:3]:
        of_call = world.twilio.get(f"/Calls/{recording['call_sid']}/Recordings.json").json()
        assert [r["sid"] for r in of_call["recordings"]] == [recording["sid"]]


def test_lines_are_looked_up(world: World) -> None:
    lookups, path = "twilio/twilio_lookups_v2.json", "/v2/PhoneNumbers/{PhoneNumber}"
    root, auth = f"{world.process.url}/twilio/v2/PhoneNumbers", world.twilio.auth
    kinds = set()
    for number in (*(f"+1813555{n:04}" for n in range(150)), "+1813555"):
        answer = httpx.get(
            f"{root}/{number}",
            params={"Fields": "line_type_intelligence"},
            auth=auth,
            trust_env=False,
        )
        assert answer.status_code == 200
        told = answer.json()
        # The contract's examples hold nulls that its schema does not know of.
        given = {name: value for name, value in told.items() if value is not None}
        line = given.get("line_type_intelligence", {})
        given |= {"line_type_intelligence": {k: v for k, v in line.items() if v is not None}}
        assert faults(lookups, "GET", path, 200, given) == []
        assert told["valid"] == (len(number) == 12)
        kinds.add((told["line_type_intelligence"] or {}).get("type"))
    assert kinds == {"mobile", "nonFixedVoip", "landline", None}
    plain = httpx.get(f"{root}/+18135550100", auth=auth, trust_env=False).json()
    assert plain["line_type_intelligence"] is None
    refused = httpx.get(
        f"{root}/+18135550100", params={"Fields": "caller_name"}, auth=auth, trust_env=False
    )
    assert refused.status_code == 400
    assert httpx.get(f"{root}/+18135550100", trust_env=False).status_code == 401
