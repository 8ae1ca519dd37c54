"""A process that dispatches a batch, made to be killed. Run as ``python -m``, not imported."""

import json
import sys
from datetime import datetime, timedelta
from uuid import UUID

from activation.dispatch import dispatch_batch
from activation.policy import DispatchPolicy
from leadengine.settings import load_settings
from providers.factory import build_clients
from providers.limits import LocalRateLimiter
from providers.sandbox.launcher import connect
from tests.activation.conftest import LIMITS, RunningClock
from warehouse.database import Database

POLICY = DispatchPolicy(
    retry_base=timedelta(0),
    twilio_grace=timedelta(seconds=1),
    sendgrid_grace=timedelta(seconds=1),
    wait=timedelta(seconds=30),
    workers=3,
)


def say(line: str) -> None:
    """One line, at once."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def main() -> None:
    """Dispatches, and prints a dot for each message finished."""
    order = json.loads(sys.argv[1])
    database = Database(password="local", **order["database"])
    settings = load_settings(_env_file=None).use_sandbox(order["url"], connect(order["url"]))
    clock = RunningClock(datetime.fromisoformat(order["now"]))
    with build_clients(settings, LocalRateLimiter(), limits=LIMITS) as clients:
        report = dispatch_batch(
            database,
            clients,
            settings,
            UUID(order["batch"]),
            clock,
            policy=POLICY,
            progress=lambda _count: say("."),
        )
    say(json.dumps(report.as_dict()))


if __name__ == "__main__":
    main()
