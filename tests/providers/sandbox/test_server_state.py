"""The sandbox keeps its state, page by page and over a SIGKILL."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest

from leadengine.errors import LeadEngineError
from providers.sandbox.launcher import connect, start_sandbox
from providers.sandbox.state import Sandbox
from tests.providers.sandbox.conftest import World

SIZE = {"contacts": 120, "seed": 5, "unlimited": True}


@pytest.fixture
def home(brokerage_home: Path, tmp_path: Path) -> Path:
    """A state folder of this test's own, with the brokerage generated already."""
    folder = tmp_path / "home" / "sandbox"
    folder.mkdir(parents=True)
    for file in (brokerage_home / "sandbox").glob("*.pickle"):
        shutil.copy(file, folder)
    return folder.parent


def _truth(world: World) -> list[dict[str, object]]:
    found: list[dict[str, object]] = world.own.get("/_truth/contacts").json()
    return found


def test_everything_answered_survives_sigkill(home: Path) -> None:
    with start_sandbox(home, **SIZE) as process:
        world = World(process)
        contact = world.contacts()[0]
        world.ghl.put(f"/contacts/{contact['id']}", json={"city": "Elsewhere"})
        world.ghl.post(f"/contacts/{contact['id']}/tags", json={"tags": ["kept"]})
        world.ghl.post(f"/contacts/{contact['id']}/notes", json={"body": "kept"})
        new = {"locationId": world.location["id"], "email": "new.one@example.com"}
        created = world.ghl.post("/contacts/upsert", json=new).json()["contact"]["id"]
        gone = world.contacts()[5]["id"]
        world.ghl.delete(f"/contacts/{gone}")
        for number in range(30):
            world.text(f"+1813557{number:04}", f"text {number}", send_id=f"t{number}")
            world.mail(f"kept{number}@example.com", send_id=f"m{number}")
        texted = {"from": "+18135570001", "to": world.location["from_number"], "body": "STOP"}
        world.own.post("/_people/text", json=texted)
        world.later(86_400)
        ledger, truth = world.ledger(), _truth(world)
        messages = world.twilio.get("/Messages.json?PageSize=1000").json()["messages"]
        query = {"query": 'to_email LIKE "kept%"', "limit": 100}
        activity = world.sendgrid.get("/v3/messages", params=query).json()
        credentials = process.credentials
        process.process.send_signal(signal.SIGKILL)
        process.process.wait()
    with start_sandbox(home, **SIZE) as process:
        world = World(process)
        assert process.credentials == credentials
        assert world.ledger() == ledger
        again = world.twilio.get("/Messages.json?PageSize=1000").json()["messages"]
        # Time went on: someone may have answered since, but nothing that was there is lost.
        assert [m for m in again if m["sid"] in {x["sid"] for x in messages}] == messages
        assert world.sendgrid.get("/v3/messages", params=query).json() == activity
        assert {row["id"] for row in _truth(world)} >= {row["id"] for row in truth}
        assert world.ghl.get(f"/contacts/{contact['id']}").json()["contact"]["city"] == "Elsewhere"
        assert "kept" in world.ghl.get(f"/contacts/{contact['id']}").json()["contact"]["tags"]
        notes = world.ghl.get(f"/contacts/{contact['id']}/notes").json()["notes"]
        assert "kept" in [n["body"] for n in notes]
        assert world.ghl.get(f"/contacts/{created}").status_code == 200
        assert world.ghl.get(f"/contacts/{gone}").status_code == 400
        assert world.text("+18135570001").json()["code"] == 21610


def test_ids_do_not_repeat_after_a_restart(home: Path) -> None:
    sids = set()
    for _ in range(2):
        with start_sandbox(home, **SIZE) as process:
            sids |= {World(process).text("+18135550101").json()["sid"] for _ in range(3)}
    assert len(sids) == 6


def test_the_same_history_gives_the_same_future(home: Path, tmp_path: Path) -> None:
    futures = []
    for name in ("one", "two"):
        copy = tmp_path / name
        shutil.copytree(home, copy)
        with start_sandbox(copy, **SIZE) as process:
            world = World(process)
            for number in range(60):
                world.text(f"+1813558{number:04}", "How are you?")
            world.later(2 * 86_400)
            messages = world.twilio.get("/Messages.json?PageSize=1000").json()["messages"]
            futures.append(
                sorted((m["sid"], m["status"], m["body"], m["error_code"]) for m in messages)
            )
    assert futures[0] == futures[1]
    assert len(futures[0]) > 60


def test_another_brokerage_is_refused(home: Path) -> None:
    Sandbox(home / "sandbox", 120, 5, None).close()
    with pytest.raises(LeadEngineError, match="seed=5, not seed=6"):
        Sandbox(home / "sandbox", 120, 6, None)
    with pytest.raises(LeadEngineError, match="contacts=120, not contacts=60"):
        Sandbox(home / "sandbox", 60, 5, None)


def test_two_sandboxes_on_one_folder_are_refused(home: Path) -> None:
    first = Sandbox(home / "sandbox", 120, 5, None)
    with pytest.raises(LeadEngineError, match=r"cannot be opened.*other sandbox"):
        start_sandbox(home, **SIZE)
    first.close()


def test_a_taken_port_is_named(home: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(LeadEngineError, match=f"port {port}: Address already in use"):
            start_sandbox(home, port=port, **SIZE)


def test_connect_says_what_is_wrong(world: World) -> None:
    assert connect(world.process.url) == world.process.credentials
    with pytest.raises(LeadEngineError, match="No sandbox answers"):
        connect("http://127.0.0.1:9")
    with pytest.raises(LeadEngineError, match="No sandbox answers"):
        connect(f"{world.process.url}/ghl")


def test_the_sandbox_ends_when_its_starter_is_killed(home: Path) -> None:
    script = (
        "import sys, pathlib; from providers.sandbox.launcher import start_sandbox\n"
        "s = start_sandbox(pathlib.Path(sys.argv[1]), contacts=120, seed=5)\n"
        "print(s.process.pid, flush=True); sys.stdin.read()"
    )
    starter = subprocess.Popen(
        [sys.executable, "-c", script, str(home)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert starter.stdout is not None
    child = int(starter.stdout.readline())
    starter.kill()
    starter.wait()
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        try:
            os.kill(child, 0)
        except ProcessLookupError:
            return
        time.sleep(0.1)
    os.kill(child, signal.SIGKILL)
    pytest.fail("the sandbox outlived its starter by ten seconds")


# -- paging ---------------------------------------------------------------------------------------


def test_contacts_are_paged_once_each_while_they_change(world: World) -> None:
    before = {c["id"] for c in world.contacts(pageLimit=500)}
    body = {
        "locationId": world.location["id"],
        "pageLimit": 7,
        "sort": [{"field": "dateUpdated", "direction": "asc"}],
    }
    seen: list[str] = []
    changed: list[str] = []
    while True:
        page = world.ghl.post("/contacts/search", json=body).json()["contacts"]
        if not page:
            break
        seen += [c["id"] for c in page]
        body["searchAfter"] = page[-1]["searchAfter"]
        # One that was read and one that perhaps was not move to the end.
        for name in (page[0]["id"], sorted(before)[len(seen) % len(before)]):
            if len(changed) < 12:
                world.ghl.put(f"/contacts/{name}", json={"city": f"City {len(seen)}"})
                changed.append(name)
    assert set(seen) >= before
    for name in before - set(changed):
        assert seen.count(name) == 1
    assert len(page) == 0
    for name in changed:
        assert 1 <= seen.count(name) <= 1 + changed.count(name)


@pytest.mark.parametrize("order", ["asc", "desc"])
@pytest.mark.parametrize("field", ["dateAdded", "dateUpdated", "lastNameLowerCase"])
def test_every_order_of_contacts_is_complete(world: World, field: str, order: str) -> None:
    everyone = {c["id"] for c in world.contacts(pageLimit=500)}
    body = {
        "locationId": world.location["id"],
        "pageLimit": 9,
        "sort": [{"field": field, "direction": order}],
    }
    seen: list[str] = []
    while page := world.ghl.post("/contacts/search", json=body).json()["contacts"]:
        seen += [c["id"] for c in page]
        body["searchAfter"] = page[-1]["searchAfter"]
    assert len(seen) == len(set(seen))
    assert set(seen) == everyone


def test_contact_filters(world: World) -> None:
    everyone = world.contacts(pageLimit=500)
    middle = sorted(c["dateUpdated"] for c in everyone)[len(everyone) // 2]

    def found(*filters: object) -> set[str]:
        return {c["id"] for c in world.contacts(pageLimit=500, filters=list(filters))}

    since = {"field": "dateUpdated", "operator": "range", "value": {"gte": middle}}
    assert found(since) == {c["id"] for c in everyone if c["dateUpdated"] >= middle}
    older = {"field": "dateUpdated", "operator": "range", "value": {"lt": middle}}
    assert found(since, older) == set()
    assert found({"group": "OR", "filters": [since, older]}) == {c["id"] for c in everyone}
    email = next(c["email"] for c in everyone if c.get("email"))
    exact = {"field": "email", "operator": "eq", "value": email}
    assert found(exact) == {c["id"] for c in everyone if c.get("email") == email}
    nobody = {"field": "email", "operator": "not_exists"}
    assert found(nobody) == {c["id"] for c in everyone if not c.get("email")}


@pytest.mark.parametrize("bad", [{"field": "x"}, {"field": "x", "operator": "like"}, "x"])
def test_bad_filters_are_refused(world: World, bad: object) -> None:
    body = {"locationId": world.location["id"], "pageLimit": 5, "filters": [bad]}
    assert world.ghl.post("/contacts/search", json=body).status_code == 422


@pytest.mark.parametrize("channel", ["", "Email", "SMS"])
@pytest.mark.parametrize("order", ["asc", "desc"])
def test_the_export_is_complete(world: World, channel: str, order: str) -> None:
    client = world.ghl_client(version="2021-04-15")
    params = {
        "locationId": world.location["id"],
        "limit": "500",
        "sortBy": "updatedAt",
        "sortOrder": order,
    }
    if channel:
        params["channel"] = channel
    path = "/conversations/messages/export"
    everything = []
    while True:
        page = client.get(path, params=params).json()
        everything += page["messages"]
        if "nextCursor" not in page:
            break
        params["cursor"] = page["nextCursor"]
    ids = [m["id"] for m in everything]
    assert len(ids) == len(set(ids)) == page["total"]
    times = [m.get("dateUpdated") or m["dateAdded"] for m in everything]
    assert times == sorted(times, reverse=order == "desc")
    assert client.get(path, params={**params, "cursor": "nonsense"}).status_code == 400


def test_opportunities_are_paged_by_start_after(world: World) -> None:
    params = {"location_id": world.location["id"], "limit": "8", "status": "all"}
    seen: list[str] = []
    while True:
        page = world.ghl.get("/opportunities/search", params=params).json()
        if not page["opportunities"]:
            break
        seen += [o["id"] for o in page["opportunities"]]
        params["startAfter"] = str(page["meta"]["startAfter"])
        params["startAfterId"] = page["meta"]["startAfterId"]
    assert len(seen) == len(set(seen)) == page["meta"]["total"]


# -- the simulation goes on -----------------------------------------------------------------------


def test_new_data_keeps_coming_and_truth_is_told(home: Path) -> None:
    with start_sandbox(home, **SIZE) as process:
        world = World(process)
        first = world.own.get("/_health").json()["now"]
        export = {"locationId": world.location["id"], "limit": "1", "startDate": first}
        client = world.ghl_client(version="2021-04-15")
        path = "/conversations/messages/export"
        assert client.get(path, params=export).json()["total"] == 0
        world.later(5 * 86_400)
        assert client.get(path, params=export).json()["total"] > 0
        as_of = (datetime.now(UTC) - timedelta(days=90)).isoformat()
        truth = httpx.get(f"{process.url}/_truth/propensities", params={"as_of": as_of}).json()
        assert truth
        assert all(0 <= p <= 1 for p in truth.values())
        assert world.own.get("/_truth/propensities?as_of=never").status_code == 422
