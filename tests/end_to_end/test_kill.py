"""A run that is killed at any moment leaves a state from which the next one goes on."""

import os
import random
import signal
import subprocess
import sys
import time

import httpx
import pytest

from leadengine.settings import load_settings
from providers.sandbox.launcher import start_sandbox
from tests.end_to_end.conftest import ROOT
from warehouse.database import open_database

KILLS = 6


@pytest.mark.slow
@pytest.mark.timeout(1500)
def test_run_goes_on_after_sigkill_of_its_process_group(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    home = tmp_path_factory.mktemp("killed") / "state"
    sandbox = start_sandbox(home, port=None, contacts=150, seed=9)
    environment = os.environ | {"LEADENGINE_HOME": str(home), "SANDBOX_URL": sandbox.url}
    moments = random.Random(20)  # noqa: S311 - moments, not secrets
    try:
        for kill in range(KILLS):
            process = subprocess.Popen(
                [sys.executable, "-m", "leadengine", "run"],
                cwd=ROOT,
                env=environment,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
            time.sleep(moments.uniform(2, 12) * (kill + 1))
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        last = subprocess.run(
            [sys.executable, "-m", "leadengine", "run"],
            cwd=ROOT,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=600,
        )
        assert last.returncode == 0, last.stdout + last.stderr
        ledger = httpx.get(f"{sandbox.url}/_ledger/messages", timeout=30).json()
        database = open_database(load_settings(_env_file=None, leadengine_home=home))
        with database.connect() as connection:
            rows = connection.execute(
                "select send_id::text, lead_id, sequence, step, status from ops.sends"
            ).fetchall()
            unfinished = connection.execute(
                "select count(*) from dagster.runs where status in ('STARTED', 'STARTING')"
            ).fetchone()
        database.engine.dispose()
    finally:
        sandbox.stop()
    tags = [message["tag"] for message in ledger]
    assert len(tags) == len(set(tags)), "a message went out twice"
    out = {send_id for send_id, *_, status in rows if status in {"sent", "delivered", "failed"}}
    open_ends = {send_id for send_id, *_, status in rows if status in {"claimed", "unsettled"}}
    assert out <= set(tags) <= out | open_ends
    assert out
    once = [(lead, sequence, step) for _, lead, sequence, step, _ in rows]
    assert len(once) == len(set(once))
    assert unfinished == (0,)
