"""Killed without warning, at any moment: nobody gets a message twice, nobody is forgotten."""

import json
import os
import random
import signal
import subprocess
import sys
from uuid import UUID

import pytest

from activation.settle import settle
from tests.activation.batches import approved
from tests.activation.conftest import IMPATIENT, World
from tests.activation.marts import rows
from tests.activation.test_dispatch import assert_books_agree, people


def child(world: World, batch: UUID) -> subprocess.Popen[str]:
    database = world.database
    order = {
        "database": {
            "host": database.host,
            "port": database.port,
            "user": database.user,
            "dbname": database.dbname,
        },
        "url": world.url,
        "batch": str(batch),
        "now": world.clock.now().isoformat(),
    }
    return subprocess.Popen(
        [sys.executable, "-m", "tests.activation.child", json.dumps(order)],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "LEADENGINE_HOME": str(world.settings.home)},
    )


def kill_after(process: subprocess.Popen[str], dots: int) -> bool:
    """Kills the process once it has finished so many messages. False if it ended before."""
    assert process.stdout is not None
    for _ in range(dots):
        if not process.stdout.readline().startswith("."):
            process.wait()
            return False
    process.send_signal(signal.SIGKILL)
    process.wait()
    return True


@pytest.mark.parametrize("seed", [1])
def test_killed_again_and_again_it_sends_each_message_once(world: World, seed: int) -> None:
    chance = random.Random(seed)  # noqa: S311 - moments to kill at, repeatable
    people(world, 60)
    batch = approved(world)
    # Slow answers and lost ones: the work is often done when the killed process has no receipt.
    world.fault(provider="twilio", kind="latency", rate=1, value=25, method="POST")
    world.fault(provider="sendgrid", kind="latency", rate=1, value=25, method="POST")
    world.fault(provider="*", kind="drop_response", rate=0.1, method="POST", path="Messages")
    kills = 0
    for _ in range(4):
        kills += kill_after(child(world, batch), chance.randint(1, 12))
    assert kills >= 3
    left = child(world, batch)
    out, _ = left.communicate(timeout=120)
    world.no_faults()
    assert left.returncode == 0
    report = json.loads(out.splitlines()[-1])
    assert report["left"] == {}
    assert report["status"] == "done"
    assert_books_agree(world, 60)


def test_a_claim_of_a_living_worker_is_left_alone_and_that_of_a_dead_one_looked_up(
    world: World,
) -> None:
    people(world, 8)
    batch = approved(world)
    world.fault(provider="twilio", kind="latency", rate=1, value=20_000, method="POST")
    world.fault(provider="sendgrid", kind="latency", rate=1, value=20_000, method="POST")
    process = child(world, batch)
    claimed = "select count(*) from ops.sends where status = 'claimed'"
    for _ in range(300):
        if rows(world.database, claimed) == [(3,)]:
            break
        try:
            process.wait(0.1)
        except subprocess.TimeoutExpired:
            continue
    assert rows(world.database, claimed) == [(3,)]
    report = settle(world.database, world.clients, world.settings, world.clock, policy=IMPATIENT)
    assert (report.found, report.returned) == (0, 0)
    assert rows(world.database, claimed) == [(3,)]
    process.kill()
    process.wait()
    world.no_faults()
    later = 0
    for _ in range(50):
        later += settle(
            world.database, world.clients, world.settings, world.clock, policy=IMPATIENT
        ).returned
        if later:
            break
    assert later == 3
    assert rows(world.database, claimed) == [(0,)]
