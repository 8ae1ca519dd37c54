from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from providers.sandbox.launcher import SandboxProcess, start_sandbox

Json = dict[str, Any]


@dataclass
class World:
    """A sandbox and clients that are signed in at its accounts."""

    process: SandboxProcess

    def __post_init__(self) -> None:
        credentials = self.process.credentials
        self.locations: list[Json] = credentials["ghl"]["locations"]
        self.location: Json = self.locations[0]
        self.account: str = credentials["twilio"]["account_sid"]
        url = self.process.url
        self.own = httpx.Client(base_url=url)
        self.ghl = self.ghl_client()
        self.twilio = httpx.Client(
            base_url=f"{url}/twilio/2010-04-01/Accounts/{self.account}",
            auth=(self.account, credentials["twilio"]["auth_token"]),
        )
        self.sendgrid = httpx.Client(
            base_url=f"{url}/sendgrid",
            headers={"Authorization": f"Bearer {credentials['sendgrid']['api_key']}"},
        )
        self.apollo = httpx.Client(
            base_url=f"{url}/apollo", headers={"x-api-key": credentials["apollo"]["api_key"]}
        )
        self.anthropic = httpx.Client(
            base_url=f"{url}/anthropic",
            headers={
                "x-api-key": credentials["anthropic"]["api_key"],
                "anthropic-version": "2023-06-01",
            },
        )

    def ghl_client(self, number: int = 0, version: str = "2021-07-28") -> httpx.Client:
        """A client of one location."""
        return httpx.Client(
            base_url=f"{self.process.url}/ghl",
            headers={
                "Authorization": f"Bearer {self.locations[number]['token']}",
                "Version": version,
            },
        )

    def contacts(self, **body: Any) -> list[Json]:
        """One page of the first location's contacts."""
        asked = {"locationId": self.location["id"], "pageLimit": 100, **body}
        answer = self.ghl.post("/contacts/search", json=asked)
        assert answer.status_code == 200, answer.text
        found: list[Json] = answer.json()["contacts"]
        return found

    def text(self, to: str, body: str = "Hello", send_id: str = "", **form: str) -> httpx.Response:
        """Sends an SMS from the first location's number."""
        data = {"To": to, "From": self.location["from_number"], "Body": body, **form}
        if send_id:
            data["StatusCallback"] = f"http://127.0.0.1:9/status?send_id={send_id}"
        return self.twilio.post("/Messages.json", data=data)

    def mail(self, to: str, send_id: str = "s", **fields: Any) -> httpx.Response:
        """Sends an email from the first location's address."""
        body = {
            "personalizations": [{"to": [{"email": to}], "custom_args": {"send_id": send_id}}],
            "from": {"email": self.location["from_email"], "name": "Simulated"},
            "subject": "Hello",
            "content": [
                {"type": "text/plain", "value": "Plain"},
                {"type": "text/html", "value": '<a href="https://example.com/a">A</a>'},
            ],
            **fields,
        }
        return self.sendgrid.post("/v3/mail/send", json=body)

    def later(self, seconds: float) -> None:
        """Moves the sandbox's time forward."""
        answer = self.own.post("/_clock", json={"advance_seconds": seconds})
        assert answer.status_code == 200, answer.text

    def ledger(self) -> list[Json]:
        """Every message accepted."""
        found: list[Json] = self.own.get("/_ledger/messages").json()
        return found


@pytest.fixture(scope="package")
def brokerage_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a generated brokerage, to be copied: generating takes longer than reading."""
    home = tmp_path_factory.mktemp("brokerage")
    start_sandbox(home, contacts=120, seed=5, unlimited=True).stop()
    return home


@pytest.fixture(scope="package")
def world(brokerage_home: Path) -> Iterator[World]:
    """An unlimited sandbox, shared by the tests of this folder."""
    with start_sandbox(brokerage_home, contacts=120, seed=5, unlimited=True) as process:
        yield World(process)
