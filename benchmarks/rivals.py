"""The same messages, pushed by general tools for sending rows to an API, which are killed as well.

dlt through a custom destination that posts each row, its best setting for this: one row a call, so
that its own state tells where it was. drt through its REST destination with its ledger of delivered
rows on. Each process is killed at random moments and started anew until it says that it is done,
while 5 % of the answers get lost; the sandbox's ledger tells what went out twice and what never.
Both are used as their documentation says; neither is made for messages that must not go out twice.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import dlt
from dlt.sources.helpers import requests

from benchmarks.activation_world import World

ROOT = Path(__file__).resolve().parents[1]
LOST_ANSWERS: dict[str, Any] = {
    "provider": "sendgrid", "kind": "drop_response", "rate": 0.05, "method": "POST",
}  # fmt: skip
_MOST_STARTS, _PATIENCE = 30, 180.0
_SYNC = """name: push
model: "select n, send_id, body from public.push_messages order by n"
destination:
  type: rest_api
  url: "{url}/v3/mail/send"
  method: POST
  headers: {{Content-Type: application/json, Authorization: "Bearer {key}"}}
  body_template: "{{{{ row.body }}}}"
sync:
  mode: full
  idempotency_key: "{{{{ row.send_id }}}}"
  batch_size: 100
  on_error: skip
  rate_limit: {{requests_per_second: 100000}}
"""


@dataclass
class Pushed:
    """What the sandbox's ledger says after a tool was done, or gave up."""

    messages: int
    accepted: int
    duplicates: int
    lost: int
    kills: int
    starts: int
    seconds: float
    says_done: bool

    def as_dict(self) -> dict[str, Any]:
        """Ready for JSON."""
        return asdict(self)


def push(made: World, command: list[str], env: dict[str, str], kills: int, seed: int) -> Pushed:
    """Starts a tool, kills it ``kills`` times, and counts what arrived of the stored messages.

    Args:
        made: with messages stored by :func:`store_messages`.
        command: pushes all of them; started again, it goes on as it thinks right.
        env: of its environment, beside ours.
        kills: SIGKILLs, each at a random share of the messages.
        seed: of the shares.
    """
    total = int(made.rows("select count(*) from public.push_messages")[0][0])
    chance = random.Random(seed)
    moments = [total * (number + chance.random()) / (kills + 1) for number in range(kills)]
    started, starts, killed, says_done = time.monotonic(), 0, 0, False
    made.fault(**LOST_ANSWERS)
    while starts < _MOST_STARTS and not says_done and time.monotonic() - started < _PATIENCE:
        starts += 1
        process = subprocess.Popen(
            command, env={**os.environ, **env}, cwd=made.home,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        try:
            while process.poll() is None and time.monotonic() - started < _PATIENCE:
                if moments and len(_accepted(made)) >= moments[0]:
                    moments.pop(0)
                    process.send_signal(signal.SIGKILL)
                    killed += 1
                    process.wait()
                    break
                time.sleep(0.1)
            else:
                says_done = process.poll() == 0
        finally:
            process.kill()
            process.wait()
    made.no_faults()
    accepted = _accepted(made)
    return Pushed(
        messages=total,
        accepted=sum(accepted.values()),
        duplicates=sum(count - 1 for count in accepted.values()),
        lost=total - len(accepted),
        kills=killed,
        starts=starts,
        seconds=round(time.monotonic() - started, 1),
        says_done=says_done,
    )


def store_messages(made: World, prefix: str, messages: int) -> None:
    """Stores so many emails, each with an id of its own, for a tool to push."""
    sender = made.settings.sendgrid_from_email
    with made.database.connect() as connection:
        connection.execute("drop table if exists public.push_messages")
        connection.execute("create table public.push_messages (n int, send_id text, body text)")
        with connection.cursor().copy("copy public.push_messages from stdin") as copy:
            for number in range(messages):
                send_id = f"{prefix}-{number}"
                body = {
                    "personalizations": [
                        {
                            "to": [{"email": f"{prefix}{number}@example.com"}],
                            "custom_args": {"send_id": send_id},
                        }
                    ],
                    "from": {"email": sender},
                    "subject": "Simulated",
                    "content": [{"type": "text/plain", "value": "Simulated."}],
                }
                copy.write_row((number, send_id, json.dumps(body)))


def push_with_dlt(made: World, messages: int, kills: int, seed: int) -> Pushed:
    """dlt, with a destination that posts one row a call."""
    store_messages(made, "dlt", messages)
    rows = made.home / "push.jsonl"
    found = made.rows("select body from public.push_messages order by n")
    rows.write_text("\n".join(body for (body,) in found))
    order = {"rows": str(rows), "url": made.settings.sendgrid_base_url, "key": _key(made)}
    command = [sys.executable, "-m", "benchmarks.rivals", json.dumps(order)]
    env = {"DLT_DATA_DIR": str(made.home / "dlt"), "PYTHONPATH": str(ROOT), "NO_PROXY": "*"}
    return push(made, command, env, kills, seed)


def push_with_drt(made: World, program: str, messages: int, kills: int, seed: int) -> Pushed:
    """drt, with its ledger of delivered rows in the same database."""
    store_messages(made, "drt", messages)
    database = made.database
    project = made.home / "drt"
    for folder in (project / "syncs", project / ".drt"):
        folder.mkdir(parents=True)
    profile = {
        "type": "postgres", "host": database.host, "port": database.port,
        "dbname": database.dbname, "user": database.user,
        "password": "local",  # pragma: allowlist secret - trust on a private socket
    }  # fmt: skip
    (project / ".drt" / "profiles.yml").write_text(json.dumps({"pg": profile}))
    state = {"backend": "warehouse", "connection_profile": "pg", "idempotency": True}
    (project / "drt_project.yml").write_text(
        json.dumps({"name": "push", "profile": "pg", "state": state})
    )
    (project / "syncs" / "push.yml").write_text(
        _SYNC.format(url=made.settings.sendgrid_base_url, key=_key(made))
    )
    command = ["sh", "-c", f'cd "{project}" && exec "{program}" run']
    return push(made, command, {"HOME": str(project), "DO_NOT_TRACK": "1"}, kills, seed)


def _key(made: World) -> str:
    key = made.settings.sendgrid_api_key
    return key.get_secret_value() if key else ""


def _accepted(made: World) -> Counter[str]:
    wanted = made.rows("select send_id from public.push_messages limit 1")[0][0].split("-")[0]
    return Counter(
        entry["tag"]
        for entry in made.get("/_ledger/messages")
        if str(entry["tag"]).startswith(f"{wanted}-")
    )


def work() -> None:
    """What dlt does in its own process: loads what it has begun, or begins."""
    order = json.loads(sys.argv[1])
    # dlt's own helper: it repeats what was not answered, as dlt's sources do.
    session = requests.Client(request_max_attempts=5, request_backoff_factor=0.05).session

    @dlt.destination(batch_size=1, loader_file_format="typed-jsonl", name="messages")
    def messages(items: Any, _table: Any) -> None:
        for item in items:
            session.post(
                f"{order['url']}/v3/mail/send",
                data=item["body"],
                headers={
                    "Authorization": f"Bearer {order['key']}",
                    "Content-Type": "application/json",
                },
            ).raise_for_status()

    pipeline = dlt.pipeline("push", destination=messages)
    begun = Path(order["rows"]).with_suffix(".begun")
    if begun.exists() and not pipeline.has_pending_data:
        return
    if pipeline.has_pending_data:
        pipeline.run()
        return
    lines = Path(order["rows"]).read_text().splitlines()
    pipeline.extract([{"body": line} for line in lines], table_name="messages")
    begun.touch()
    pipeline.run()


if __name__ == "__main__":
    work()
