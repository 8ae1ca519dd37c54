"""The sandbox misbehaves exactly as told, and keeps to the providers' limits."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from providers.sandbox import limits
from providers.sandbox.faults import Faults
from providers.sandbox.launcher import start_sandbox
from providers.sandbox.limits import Limit, Windows
from tests.providers.sandbox.conftest import World


@pytest.fixture(autouse=True)
def no_faults_left(world: World) -> Iterator[None]:
    yield
    assert world.own.delete("/_faults").status_code == 204


def set_fault(world: World, **order: object) -> None:
    answer = world.own.post("/_faults", json=order)
    assert answer.status_code == 201, answer.text


def test_a_dropped_response_has_had_its_effect(world: World) -> None:
    set_fault(world, provider="twilio", kind="drop_response", rate=1, method="POST")
    before = len(world.ledger())
    began = time.monotonic()
    with pytest.raises(httpx.RemoteProtocolError):
        world.text("+18135550301", "once", send_id="dropped-1")
    assert time.monotonic() - began < 2
    entries = world.ledger()[before:]
    assert [(e["tag"], e["to"]) for e in entries] == [("dropped-1", "+18135550301")]
    params = {"To": "+18135550301"}
    found = world.twilio.get("/Messages.json", params=params).json()["messages"]
    assert [m["sid"] for m in found] == [entries[0]["id"]]
    line = [r for r in world.own.get("/_ledger/requests").json() if r["dropped"]][-1]
    assert (line["method"], line["status"], line["provider"]) == ("POST", 201, "twilio")


def test_a_dropped_email_is_found_by_our_id(world: World) -> None:
    set_fault(world, provider="sendgrid", kind="drop_response", rate=1, path="mail/send")
    with pytest.raises(httpx.RemoteProtocolError):
        world.mail("dropped@example.com", send_id="dropped-2")
    query = {"query": 'unique_args["send_id"]="dropped-2"'}
    assert len(world.sendgrid.get("/v3/messages", params=query).json()["messages"]) == 1


@pytest.mark.parametrize("provider", ["ghl", "twilio", "sendgrid", "apollo", "anthropic"])
@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_status_fault_does_no_work(world: World, provider: str, status: int) -> None:
    set_fault(world, provider=provider, kind="status", rate=1, value=status)
    before = len(world.ledger())
    client = getattr(world, provider)
    answer = {
        "ghl": lambda: client.get("/contacts/x"),
        "twilio": lambda: world.text("+18135550302"),
        "sendgrid": lambda: world.mail("a@example.com"),
        "apollo": lambda: client.post("/people/match", json={}),
        "anthropic": lambda: client.post("/v1/messages", json={}),
    }[provider]()
    assert answer.status_code == status
    assert answer.json()
    assert len(world.ledger()) == before


def test_a_status_may_come_after_the_work(world: World) -> None:
    set_fault(world, provider="twilio", kind="status", value=503, after_work=True)
    before = len(world.ledger())
    assert world.text("+18135550303").status_code == 503
    assert len(world.ledger()) == before + 1


def test_ghl_may_say_422_and_have_created_the_contact(world: World) -> None:
    set_fault(world, provider="ghl", kind="status", value=422, after_work=True, path="upsert")
    new = {"locationId": world.location["id"], "email": "unclear@example.com"}
    answer = world.ghl.post("/contacts/upsert", json=new)
    assert answer.status_code == 422
    made = world.ghl.get(f"/contacts/{answer.json()['meta']['contactId']}").json()["contact"]
    assert made["email"] == "unclear@example.com"


def test_latency(world: World) -> None:
    set_fault(world, provider="ghl", kind="latency", value=150)
    began = time.monotonic()
    world.contacts()
    assert time.monotonic() - began >= 0.15


def test_rates_are_kept_and_drawn_alike(world: World) -> None:
    draws = []
    for _ in range(2):
        faults = Faults(seed=3)
        faults.add({"provider": "twilio", "kind": "status", "rate": 0.2})
        draws.append([bool(faults.for_request("twilio", "GET", "/")) for _ in range(2000)])
    assert draws[0] == draws[1]
    assert 340 < sum(draws[0]) < 460
    assert world.own.get("/_faults").json() == []


@pytest.mark.parametrize(
    "order",
    [
        {"provider": "nobody", "kind": "status"},
        {"provider": "twilio", "kind": "nonsense"},
        {"provider": "twilio", "kind": "status", "rate": 2},
        {"provider": "twilio", "kind": "status", "value": 200},
        {"provider": "twilio", "kind": "latency", "value": "long"},
        {"provider": "twilio", "kind": "latency", "speed": 1},
    ],
)
def test_faults_that_make_no_sense_are_refused(world: World, order: dict[str, object]) -> None:
    answer = world.own.post("/_faults", json=order)
    assert answer.status_code == 422
    assert answer.json()["error"]


# -- limits ---------------------------------------------------------------------------------------


def test_no_window_holds_more_than_the_limit() -> None:
    windows, limit = Windows(), Limit(3, 10.0)
    taken = [windows.take("a", limit, at) for at in (0.0, 1.0, 2.0, 9.0, 10.5, 10.9, 11.1)]
    assert [t.allowed for t in taken] == [True, True, True, False, True, False, True]
    assert [t.remaining for t in taken] == [2, 1, 0, 0, 0, 0, 0]
    assert taken[3].retry_after == pytest.approx(1.0)
    assert windows.take("b", limit, 2.0).allowed


@pytest.fixture(scope="module")
def limited(brokerage_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    home = tmp_path_factory.mktemp("limited")
    with start_sandbox(home, contacts=20, seed=5) as process:
        yield World(process)


def test_ghl_counts_by_location(limited: World) -> None:
    path = f"/locations/{limited.location['id']}"
    answers = [limited.ghl.get(path) for _ in range(101)]
    assert [a.status_code for a in answers] == [200] * 100 + [429]
    assert answers[0].headers["x-ratelimit-max"] == "100"
    assert answers[0].headers["x-ratelimit-interval-milliseconds"] == "10000"
    assert answers[0].headers["x-ratelimit-limit-daily"] == "200000"
    assert [int(a.headers["x-ratelimit-remaining"]) for a in answers[:3]] == [99, 98, 97]
    last = answers[-1]
    assert last.headers["x-ratelimit-remaining"] == "0"
    assert last.json() == {"statusCode": 429, "message": "Too Many Requests"}
    other = limited.ghl_client(1).get(f"/locations/{limited.locations[1]['id']}")
    assert other.status_code == 200


def test_twilio_says_20429(limited: World) -> None:
    count = limits.TWILIO_API.count
    answers = [limited.twilio.get("/Messages.json") for _ in range(count + 1)]
    assert [a.status_code for a in answers] == [200] * count + [429]
    assert answers[-1].json()["code"] == 20429


def test_sendgrid_tells_what_is_left(limited: World) -> None:
    query = {"query": 'to_email="a@example.com"'}
    count = limits.SENDGRID["activity"].count
    answers = [limited.sendgrid.get("/v3/messages", params=query) for _ in range(count + 1)]
    assert [a.status_code for a in answers] == [200] * count + [429]
    assert [a.headers["x-ratelimit-remaining"] for a in answers[:2]] == ["5", "4"]
    assert answers[-1].json()["errors"][0]["message"] == "too many requests"
    assert float(answers[-1].headers["x-ratelimit-reset"]) > time.time()


def test_apollo_and_anthropic_say_when_to_return(limited: World) -> None:
    apollo = [limited.apollo.post("/people/match", json={}) for _ in range(51)]
    assert apollo[-1].status_code == 429
    assert 0 < int(apollo[-1].headers["retry-after"]) <= 61
    body = {"model": "m", "messages": []}
    claude = [limited.anthropic.post("/v1/messages", json=body) for _ in range(51)]
    assert claude[-1].status_code == 429
    assert claude[-1].json()["error"]["type"] == "rate_limit_error"
    assert 0 < int(claude[-1].headers["retry-after"]) <= 61
