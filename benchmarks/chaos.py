"""Sends a batch through a storm, and compares the providers' books with ours.

Answers that get lost, servers that fail, storms of 429, workers that are killed at any moment, and
a database that is restarted under them: whatever happens, each message of the batch is in the
sandbox's ledger once or not at all, and our books say which.
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
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx

from activation.dispatch import dispatch_batch
from activation.policy import DispatchPolicy
from activation.settle import unsettled_by_hand
from leadengine.errors import DatabaseUnavailableError
from leadengine.settings import Settings, load_settings
from providers.core import RetryPolicy
from providers.factory import build_clients
from providers.limits import LocalRateLimiter, ProviderLimits, RateLimit
from providers.sandbox.launcher import connect
from warehouse.database import Database
from warehouse.embedded import EmbeddedPostgres

ROOT = Path(__file__).resolve().parents[1]
_WIDE = RateLimit(1_000_000, 1.0)
WIDE_LIMITS = ProviderLimits(
    ghl=_WIDE, ghl_daily=_WIDE, twilio=_WIDE, sendgrid_send=_WIDE, sendgrid_read=_WIDE,
    sendgrid_activity=_WIDE,
)  # fmt: skip
# An absence is believed once no request of a dead worker can still be on its way: a message
# leaves half a second after its check at the latest, and a request that was refused with 429 is
# made twice more. On a busy machine the sandbox answers late.
PATIENT = DispatchPolicy(
    max_attempts=100,
    retry_base=timedelta(seconds=0.2),
    twilio_grace=timedelta(seconds=15),
    sendgrid_grace=timedelta(seconds=15),
    wait=timedelta(seconds=120),
    database_patience=timedelta(seconds=120),
    workers=4,
    window=24,
    round=timedelta(seconds=10),
    preflight_lasts=timedelta(minutes=10),
)
STORM: tuple[dict[str, Any], ...] = (
    {"provider": "twilio", "kind": "drop_response", "rate": 0.05, "method": "POST"},
    {"provider": "sendgrid", "kind": "drop_response", "rate": 0.05, "method": "POST"},
    {"provider": "twilio", "kind": "status", "value": 503, "rate": 0.01, "method": "POST"},
    {"provider": "sendgrid", "kind": "status", "value": 503, "rate": 0.01, "method": "POST"},
    {
        "provider": "twilio", "kind": "status", "value": 500, "rate": 0.01, "method": "POST",
        "after_work": True,
    },
    {
        "provider": "sendgrid", "kind": "status", "value": 500, "rate": 0.01, "method": "POST",
        "after_work": True,
    },
)  # fmt: skip
GUST: dict[str, Any] = {
    "provider": "*",
    "kind": "status",
    "value": 429,
    "rate": 0.8,
    "method": "POST",
}


@dataclass
class Storm:
    """What happens while a batch is sent.

    Args:
        kills: SIGKILLs of a worker.
        restarts: immediate stops of the database, each followed by a start.
        gusts: times in which four of five requests are refused with 429.
        seed: of the moments.
        workers: processes that send at once.
    """

    kills: int
    restarts: int
    gusts: int
    seed: int
    workers: int = 2


@dataclass
class Outcome:
    """The books after the storm. ``lost`` and ``duplicates`` are what must be 0."""

    messages: int
    sent: int
    accepted: int
    duplicates: int
    lost: int
    unsettled: int
    kills: int
    restarts: int
    gusts: int
    found_at_provider: int
    seconds: float
    statuses: dict[str, int] = field(default_factory=dict)

    @property
    def is_exact(self) -> bool:
        """Whether nothing was sent twice and nothing is lost."""
        return self.duplicates == 0 and self.lost == 0

    def as_dict(self) -> dict[str, Any]:
        """Ready for JSON."""
        return asdict(self)


class Weather:
    """Starts workers on a batch, and lets it storm.

    Args:
        database: with an approved batch.
        settings: whose providers are the sandbox.
        batch_id: of the batch.
        now: what the workers' clocks tell at this moment.
        restart_database: stops the server at once, as a crash would, and starts it again.
    """

    def __init__(
        self,
        database: Database,
        settings: Settings,
        batch_id: UUID,
        now: datetime,
        restart_database: Any,
    ) -> None:
        self._database = database
        self._settings = settings
        self._batch_id = batch_id
        self._started = time.monotonic()
        self._shift = now - datetime.now(UTC)
        self._restart = restart_database
        self._workers: list[subprocess.Popen[bytes]] = []

    def run(self, storm: Storm) -> Outcome:
        """Lets it storm until the batch is done, and compares the books."""
        chance = random.Random(storm.seed)
        events = ["kill"] * storm.kills + ["restart"] * storm.restarts + ["gust"] * storm.gusts
        chance.shuffle(events)
        total = self._count()
        done: Counter[str] = Counter()
        for order in STORM:
            self._order(order)
        try:
            for _ in range(storm.workers):
                self._start()
            # An event for each share of the batch, at a random moment within it.
            for number, event in enumerate(events):
                self._wait_until(total * (number + chance.random()) / (len(events) + 1))
                self._happen(event, chance)
                done[event] += 1
            self._calm()
            self._wait_until(total)
        finally:
            self._end()
        return self._compare(total, done)

    def _happen(self, event: str, chance: random.Random) -> None:
        if event == "restart":
            self._restart()
        elif event == "gust":
            self._order(GUST)
            time.sleep(0.3 + chance.random())
            self._calm()
            for order in STORM:
                self._order(order)
        else:
            number = chance.randrange(len(self._workers))
            # A worker that has just started is let come to work, or it would be a kill of nothing.
            self._workers[number].send_signal(signal.SIGKILL)
            self._workers[number].wait()
            del self._workers[number]
            self._start()

    def _wait_until(self, settled: float) -> None:
        """Until so many messages need no more work, or a worker's life passes without progress."""
        last, since = -1, time.monotonic()
        while True:
            now = self._settled()
            if now >= settled or (now == last and time.monotonic() - since > 150):
                return
            if now != last:
                last, since = now, time.monotonic()
            for process in list(self._workers):
                if process.poll() is not None:
                    self._workers.remove(process)
                    self._start()
            time.sleep(0.05)

    def _start(self) -> None:
        database = self._database
        order = {
            "database": {
                "host": database.host, "port": database.port, "user": database.user,
                "dbname": database.dbname,
            },
            "url": self._settings.sandbox_url,
            "batch": str(self._batch_id),
            "shift": self._shift.total_seconds(),
        }  # fmt: skip
        self._workers.append(
            subprocess.Popen(
                [sys.executable, "-m", "benchmarks.chaos", json.dumps(order)],
                cwd=ROOT,
                env={**os.environ, "LEADENGINE_HOME": str(self._settings.home)},
                stdout=subprocess.DEVNULL,
            )
        )

    def _end(self) -> None:
        self._calm()
        for process in self._workers:
            process.terminate()
        for process in self._workers:
            try:
                process.wait(60)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def _order(self, order: dict[str, Any]) -> None:
        httpx.post(
            f"{self._settings.sandbox_url}/_faults", json=order, trust_env=False, timeout=30
        ).raise_for_status()

    def _calm(self) -> None:
        httpx.delete(
            f"{self._settings.sandbox_url}/_faults", trust_env=False, timeout=30
        ).raise_for_status()

    def _count(self) -> int:
        return int(
            self._rows(
                "select count(*) from ops.batch_items where batch_id = %s and decision = 'send'"
            )[0][0]
        )

    def _settled(self) -> int:
        try:
            rows = self._rows(
                "select count(*) from ops.sends where batch_id = %s"
                " and status not in ('intent', 'claimed', 'unsettled')"
            )
        except DatabaseUnavailableError:  # just now
            return -1
        return int(rows[0][0])

    def _rows(self, query: str) -> list[tuple[Any, ...]]:
        with self._database.connect() as connection:
            return connection.execute(query.encode(), (self._batch_id,)).fetchall()

    def _compare(self, total: int, done: Counter[str]) -> Outcome:
        books = dict(self._rows("select send_id::text, status from ops.sends where batch_id = %s"))
        ledger = httpx.get(
            f"{self._settings.sandbox_url}/_ledger/messages", trust_env=False, timeout=120
        ).json()
        accepted = Counter(entry["tag"] for entry in ledger if entry["tag"] in books)
        ours = {send_id for send_id, status in books.items() if status in ("sent", "delivered")}
        open_ones = {send_id for send_id, status in books.items() if status == "unsettled"}
        by_hand = {str(row["send_id"]) for row in unsettled_by_hand(self._database)}
        found = self._rows(
            "select count(*) from ops.sends where batch_id = %s and status_reason = 'found'"
        )
        return Outcome(
            messages=total,
            sent=len(ours),
            accepted=sum(accepted.values()),
            duplicates=sum(count - 1 for count in accepted.values()),
            # Lost: the provider has it and we do not know; or nobody has it and nobody is told.
            lost=len(set(accepted) - ours - by_hand)
            + len(ours - set(accepted))
            + (total - len(ours) - len(by_hand)),
            unsettled=len(open_ones),
            kills=done["kill"],
            restarts=done["restart"],
            gusts=done["gust"],
            found_at_provider=int(found[0][0]),
            seconds=round(time.monotonic() - self._started, 1),
            statuses=dict(Counter(books.values())),
        )


def restart_database(home: Path) -> None:
    """Stops the embedded server as a crash would, and starts it again; what it knew comes back."""
    EmbeddedPostgres(home).crash_and_recover()


class _Clock:
    """The machine's clock, moved: all workers tell the same time, however late they started."""

    def __init__(self, shift: timedelta) -> None:
        self._shift = shift

    def now(self) -> datetime:
        """The moment, UTC."""
        return datetime.now(UTC) + self._shift


def work() -> None:
    """A worker process: dispatches the batch that its argument names, until nothing is left."""
    order = json.loads(sys.argv[1])
    database = Database(password="local", **order["database"])  # noqa: S106 - a private socket
    settings = load_settings(_env_file=None).use_sandbox(order["url"], connect(order["url"]))
    settings = settings.model_copy(update={"twilio_10dlc_class": "none"})
    policy = RetryPolicy(attempts=3, wait_initial=0.05, wait_max=0.2)
    try:
        with build_clients(
            settings, LocalRateLimiter(), limits=WIDE_LIMITS, policy=policy
        ) as clients:
            dispatch_batch(
                database,
                clients,
                settings,
                UUID(order["batch"]),
                _Clock(timedelta(seconds=order["shift"])),
                policy=PATIENT,
            )
    except DatabaseUnavailableError as error:
        # Part of the storm: another worker is started in its place.
        sys.exit(str(error))


if __name__ == "__main__":
    work()
