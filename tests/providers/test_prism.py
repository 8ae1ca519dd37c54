"""Our requests, judged by Prism: another program, which reads the contracts in its own way."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from providers.core import RetryPolicy
from providers.errors import ProviderError, Rejected
from tests.providers import clients
from tests.providers.calls import GHL_CALLS, SENDGRID_CALLS, TWILIO_CALLS
from tests.shared_folder import shared

PRISM = ["npx", "--yes", "@stoplight/prism-cli@5"]
ONCE = RetryPolicy(attempts=1)

GHL_APPS = {
    "contacts": [
        "contacts", "changed contacts", "contact", "update", "add tags", "remove tags", "note",
        "task", "upsert", "workflow", "number of contacts", "notes", "contact's tasks",
    ],
    "conversations": ["messages", "changed emails", "transcription"],
    "opportunities": ["opportunities", "pipelines"],
    "calendars": ["events", "calendars"],
    "locations": ["ping", "tasks", "custom fields", "location", "new field"],
    "users": ["users"],
    "workflows": ["workflows"],
}  # fmt: skip

slow = pytest.mark.slow


@pytest.fixture(scope="module")
def prism() -> list[str]:
    if shutil.which("npx") is None:
        pytest.skip("npx is not here; Prism needs Node.js")
    try:
        subprocess.run([*PRISM, "--version"], check=True, capture_output=True, timeout=180)
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired):
        pytest.skip("npx cannot fetch @stoplight/prism-cli here")
    return PRISM


@contextmanager
def judging(prism: list[str], contract: Path, log: Path) -> Iterator[str]:
    """A Prism that serves ``contract``; its reasons go to ``log``."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with log.open("w") as output:
        process = subprocess.Popen(
            [*prism, "mock", "-p", str(port), str(contract)],
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        give_up = time.monotonic() + 90
        while "Prism is listening" not in log.read_text("utf-8"):
            assert process.poll() is None, log.read_text("utf-8")
            assert time.monotonic() < give_up, "Prism did not start"
            time.sleep(0.1)
        yield f"http://127.0.0.1:{port}"
    finally:
        # npx, a shell and node: one session of their own.
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(10)


def judge(url: str, log: Path, name: str, call: Callable[[], object]) -> None:
    try:
        call()
    except Rejected:
        pytest.fail(f"{name} breaks the contract:\n{log.read_text('utf-8')[-3000:]}")
    except ProviderError as error:
        # Prism makes its answers up, and the contracts leave some answers out: not judged here.
        if error.reason not in {"bad_answer", "paging_stuck"}:
            raise


@slow
@pytest.mark.parametrize("app", GHL_APPS)
def test_ghl(prism: list[str], app: str, tmp_path: Path) -> None:
    log = tmp_path / "prism.log"
    with judging(prism, shared(f"contracts/ghl/apps/{app}.json"), log) as url:
        for name in GHL_APPS[app]:
            judge(url, log, name, lambda name=name: GHL_CALLS[name](clients.ghl(url, ONCE)))  # type: ignore[misc]


def test_every_ghl_call_is_judged() -> None:
    assert sorted(name for names in GHL_APPS.values() for name in names) == sorted(GHL_CALLS)


@slow
def test_twilio(prism: list[str], tmp_path: Path) -> None:
    log = tmp_path / "prism.log"
    with judging(prism, shared("contracts/twilio/twilio_api_v2010.json"), log) as url:
        for name, call in TWILIO_CALLS.items():
            judge(url, log, name, lambda call=call: call(clients.twilio(url, ONCE)))  # type: ignore[misc]


@slow
@pytest.mark.parametrize(
    ("document", "names"),
    [
        ("tsg_mail_v3", ["send"]),
        ("tsg_email_activity_v3", ["activity"]),
        ("tsg_suppressions_v3", [n for n in SENDGRID_CALLS if n not in ("send", "activity")]),
    ],
)
def test_sendgrid(prism: list[str], document: str, names: list[str], tmp_path: Path) -> None:
    log = tmp_path / "prism.log"
    with judging(prism, shared(f"contracts/sendgrid/{document}.json"), log) as url:
        for name in names:
            call: Callable[[Any], object] = SENDGRID_CALLS[name]
            judge(url, log, name, lambda call=call: call(clients.sendgrid(url, ONCE)))  # type: ignore[misc]


@slow
def test_prism_can_object(prism: list[str], tmp_path: Path) -> None:
    log = tmp_path / "prism.log"
    with judging(prism, shared("contracts/ghl/apps/contacts.json"), log) as url:
        client = clients.ghl(url, ONCE)
        for call in (
            lambda: client.upsert_contact(locationId=3),
            lambda: client.add_note("c1", 3),  # type: ignore[arg-type]
        ):
            with pytest.raises(ProviderError) as caught:
                call()
            assert caught.value.status == 422
