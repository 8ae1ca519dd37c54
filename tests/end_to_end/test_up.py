"""`leadengine up`: everything answers, Dagster's pages show the work, and Ctrl-C ends it all.

With UPDATE_SCREENSHOTS=1 the pages are also saved as the pictures of the README.
"""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import httpx
import psutil
import pytest
from playwright.sync_api import Page, sync_playwright

from tests.end_to_end.conftest import ROOT, Engine

IMAGES = ROOT / "docs" / "images"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Stack:
    """A running `leadengine up`."""

    def __init__(self, engine: Engine) -> None:
        self.ports = {name: free_port() for name in ("SERVICE", "DAGSTER", "MLFLOW", "DOCS")}
        self.log = engine.home / "up-output.log"
        with self.log.open("wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "leadengine", "up"],
                cwd=ROOT,
                env={key: value for key, value in os.environ.items() if "COVERAGE_" not in key}
                | {"LEADENGINE_HOME": str(engine.home), "SANDBOX_URL": engine.sandbox.url}
                | {f"{name}_PORT": str(port) for name, port in self.ports.items()},
                stdout=output,
                stderr=output,
                start_new_session=True,
                # As from a terminal; a suite that runs in the background would pass on its own.
                preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
            )
        deadline = time.monotonic() + 250
        while "Ctrl-C stops everything" not in self.log.read_text():
            assert self.process.poll() is None, self.log.read_text()
            assert time.monotonic() < deadline, self.log.read_text()
            time.sleep(0.5)

    def url(self, name: str) -> str:
        return f"http://127.0.0.1:{self.ports[name]}"


@pytest.fixture(scope="module")
def stack(engine: Engine) -> Iterator[Stack]:
    running = Stack(engine)
    yield running
    if running.process.poll() is None:
        running.process.send_signal(signal.SIGINT)
        running.process.wait(60)


@pytest.fixture(scope="module")
def page() -> Iterator[Page]:
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        pytest.skip("no chromium is installed; apt-get install chromium")
    arguments = [
        "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
        "--disable-component-update", "--disable-sync",
    ]  # fmt: skip
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=arguments)
        yield browser.new_page(viewport={"width": 1600, "height": 1000})
        browser.close()


def keep(page: Page, name: str) -> None:
    """Saves the page as a picture of the documentation, when asked to."""
    if os.environ.get("UPDATE_SCREENSHOTS"):
        page.screenshot(path=IMAGES / name)


@pytest.mark.timeout(900)  # the first test waits for the run and for the stack
def test_every_part_answers(stack: Stack) -> None:
    assert httpx.get(f"{stack.url('SERVICE')}/health/ready").json() == {"status": "ready"}
    assert httpx.get(f"{stack.url('DAGSTER')}/server_info").is_success
    assert httpx.get(f"{stack.url('MLFLOW')}/health").is_success


def test_score_over_http_is_the_score_of_the_command(stack: Stack, engine: Engine) -> None:
    (lead_id,) = engine.rows("select lead_id from ml.current_lead_scores order by rank limit 1")[0]
    answer = httpx.post(f"{stack.url('SERVICE')}/api/leads/{lead_id}/score", timeout=60)
    assert answer.status_code == 200, answer.text
    assert 0 <= answer.json()["score"] <= 1
    assert answer.json()["reasons"]


def test_a_texted_stop_is_heard_at_once(stack: Stack, engine: Engine) -> None:
    location, person = engine.rows(
        "select location_id, phone from marts.dim_leads where phone is not null limit 1"
    )[0]
    places = engine.sandbox.credentials["ghl"]["locations"]
    [number] = [place["from_number"] for place in places if place["id"] == location]
    heard = (
        "select 1 from ops.suppressions where source = 'sms_reply' and channel = 'sms'"
        f" and address = '{person}'"
    )
    httpx.post(
        f"{engine.sandbox.url}/_people/text",
        json={"from": person, "to": number, "body": "Stop"},
        timeout=30,
    ).raise_for_status()
    deadline = time.monotonic() + 30
    while not engine.rows(heard):
        assert time.monotonic() < deadline
        time.sleep(0.2)


def test_dagster_shows_the_asset_graph(stack: Stack, page: Page) -> None:
    page.set_viewport_size({"width": 1600, "height": 900})
    page.goto(f"{stack.url('DAGSTER')}/asset-groups?expanded=global@global:marts")
    page.get_by_text("fct_communications").first.wait_for(timeout=60_000)
    page.goto(
        f"{stack.url('DAGSTER')}/assets/marts/lead_priorities"
        "?view=lineage&lineageScope=neighbors&lineageDepth=1"
    )
    page.get_by_text("batches").first.wait_for(timeout=60_000)
    page.wait_for_timeout(4_000)
    keep(page, "asset-graph.png")
    page.goto(f"{stack.url('DAGSTER')}/assets/marts/lead_features")
    page.get_by_text("lead_features").first.wait_for(timeout=60_000)


def test_dagster_shows_a_finished_run(stack: Stack, page: Page, engine: Engine) -> None:
    (run_id,) = engine.rows(
        "select run_id from dagster.runs where pipeline_name = 'full_refresh' limit 1"
    )[0]
    page.set_viewport_size({"width": 1600, "height": 1000})
    page.goto(f"{stack.url('DAGSTER')}/runs/{run_id}?logs=Finished execution of step")
    page.get_by_text("Success", exact=False).first.wait_for(timeout=60_000)
    page.wait_for_timeout(3_000)
    page.mouse.move(900, 364)  # the bar between the steps' chart and the log
    page.mouse.down()
    page.mouse.move(900, 600, steps=5)
    page.mouse.up()
    page.wait_for_timeout(1_000)
    keep(page, "run.png")


def test_a_marketer_starts_a_batch_from_the_launchpad(
    stack: Stack, page: Page, engine: Engine
) -> None:
    page.set_viewport_size({"width": 1600, "height": 900})
    page.goto(f"{stack.url('DAGSTER')}/locations/leadengine/jobs/nurture_batch/playground")
    page.get_by_text("No errors").first.wait_for(timeout=90_000)
    keep(page, "launchpad.png")
    setup = (
        "ops: {ops__batches: {config: {audience: never_answered, sequence: no_answer, size: 200}}}"
    )
    page.goto(
        f"{stack.url('DAGSTER')}/locations/leadengine/jobs/nurture_batch/playground/setup"
        f"?config={quote(setup)}"
    )
    page.get_by_text("never_answered").first.wait_for(timeout=60_000)
    page.get_by_text("No errors").first.wait_for(timeout=60_000)
    page.get_by_role("button", name="Launch Run").click()
    page.wait_for_url("**/runs/*", timeout=60_000)
    page.get_by_text("Success", exact=True).first.wait_for(timeout=180_000)
    page.goto(f"{stack.url('DAGSTER')}/assets/ops/batches?view=events")
    last = page.get_by_text("awaiting approval").first
    last.wait_for(timeout=60_000)
    page.wait_for_timeout(1_000)
    box = last.bounding_box()
    assert box is not None
    page.set_viewport_size({"width": 1600, "height": int(box["y"] + box["height"] + 12)})
    keep(page, "batch.png")
    planned = engine.rows(
        "select audience, planned_by, status from ops.batches order by planned_at desc limit 1"
    )
    assert planned == [("never_answered", "dagster", "planned")]


def test_mlflow_shows_the_model(stack: Stack) -> None:
    answer = httpx.get(
        f"{stack.url('MLFLOW')}/api/2.0/mlflow/registered-models/get",
        params={"name": "lead_conversion"},
    )
    assert answer.json()["registered_model"]["name"] == "lead_conversion"


@pytest.mark.timeout(120)
def test_ctrl_c_ends_every_process(stack: Stack) -> None:
    children = psutil.Process(stack.process.pid).children(recursive=True)
    assert len(children) >= 5
    stack.process.send_signal(signal.SIGINT)
    assert stack.process.wait(60) == 130
    _, alive = psutil.wait_procs(children, timeout=30)
    assert alive == []
    assert "Traceback" not in Path(stack.log).read_text()
