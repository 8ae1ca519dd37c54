"""Times scoring: one lead in process and over HTTP, and a million leads in one run.

    python benchmarks/serving.py                        1,000,000 leads in the batch; 5 minutes
    python benchmarks/serving.py --leads 50000 --online-leads 2000 --seconds 5           small
    python benchmarks/serving.py --write                also into docs/serving.md

The warehouse behind it is the project's own: generated history (``benchmarks/warehouse.py``,
simulated people), built by dbt; the champion is trained on its training set. The labels of that
set are drawn anew by a rule on the features, since generated leads convert at random and a model
without any signal would be no measure of speed; nothing here says how good scores are. For the
batch, rows of ``marts.lead_features`` are repeated under other ids, with every measure jittered.

What is measured:

- one lead in process: features, model, calibration and reasons, the score sent to be stored; each
  lead asked for the first time, so that nothing comes out of the cache; then the same leads again.
- over HTTP: ``POST /api/leads/{id}/score`` of a uvicorn process of its own, open loop at a fixed
  rate: a request is sent when it is due, and its time counts from then.
- both in rounds, since a machine whose cores others use as well is half as fast for minutes: the
  round with the least p99 and the one with the greatest are told.
- beside it MLflow's pyfunc and ``mlflow models serve`` on the same features, given to them ready;
  the scores must agree within 1e-6.
- batch: ``score_open_leads`` in a process of its own, its peak memory, reasons for the best
  50,000; and a thousand of its scores replayed.

Prints one table and, last, one JSON object.
"""

import argparse
import asyncio
import contextlib
import gc
import importlib.util
import json
import os
import resource
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks.pages import DOCS, write_block  # noqa: E402
from benchmarks.pages import table as markdown_table  # noqa: E402

RATE = 50.0
ROUNDS = 3
HEADINGS = ["what", "p50 ms", "p95 ms", "p99 ms", "aim"]
EVENTS_A_LEAD = 10
PYFUNC_CALLS = 200
# With conditions that only hold together, so that the champion has trees, as a real one has.
LABELS = """
update marts.lead_training_set set label = (
    (hashtextextended(lead_id || as_of::text, 1) & 1048575) / 1048576.0 < 1 / (1 + exp(
        2.2
        - 1.5 * (inbound_count_90d between 1 and 4 and days_since_last_inbound < 30)::int
        - 1.2 * (appointments_pending_count > 0 and source <> 'zillow')::int
        - 1.1 * (source = 'referral' and days_since_created < 120)::int
        - 0.2 * least(email_click_count_90d, 4)
        + 0.8 * (touches_since_last_reply > 4 and coalesce(email_click_count_90d, 0) = 0)::int
    ))
)::int
"""
# One lead in this many bytes of table, index, vector and write-ahead log, measured.
DISK_BYTES_PER_LEAD = 4_000


def warehouse_benchmark() -> Any:
    """The module beside this one, whose name is also that of a package."""
    place = Path(__file__).with_name("warehouse.py")
    spec = importlib.util.spec_from_file_location("benchmark_warehouse", place)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def percentiles(milliseconds: list[float]) -> dict[str, float]:
    """p50, p95 and p99 in milliseconds."""
    parts = statistics.quantiles(milliseconds, n=100)
    return {f"p{p}": round(parts[p - 1], 3) for p in (50, 95, 99)} | {"calls": len(milliseconds)}


def some_leads(database: Any, count: int) -> list[str]:
    """Leads spread over all."""
    with database.connect() as connection:
        rows = connection.execute(
            "select lead_id from marts.dim_leads order by md5(lead_id) limit %s", [count]
        ).fetchall()
    return [lead for (lead,) in rows]


class Serving:
    """One run on one state folder."""

    def __init__(self, home: Path, online_leads: int, console: Console) -> None:
        self.home, self.console = home, console
        module = warehouse_benchmark()
        self.moment = module.NOW
        self.built = module.Benchmark(home, online_leads, online_leads * EVENTS_A_LEAD, console)
        self.database = self.built.database
        from leadengine.settings import load_settings

        self.settings = load_settings(_env_file=None)
        self.figures: dict[str, Any] = {}
        self.rounds: dict[str, list[dict[str, float]]] = {}

    def prepare(self) -> None:
        """Builds the warehouse and trains the champion."""
        from ml.champion import load_champion
        from ml.members import Boosting
        from ml.training import train_from_warehouse

        self.built.generate()
        self.built.dbt(self.moment, "+dim_leads", "--full-refresh")
        with self.database.connect() as connection:
            connection.execute(LABELS)
        result = train_from_warehouse(self.database, self.settings)
        # As pgbench does: what building left to be done is not done while single scores are timed.
        with self.database.connect(autocommit=True) as connection:
            connection.execute("vacuum analyze")
            connection.execute("checkpoint")
        members = load_champion(self.settings, self.database).model.members
        self.figures["model"] = {
            "rows": result.rows,
            "members": [type(member).__name__ for member in members],
            "trees": sum(m.booster.num_trees() for m in members if isinstance(m, Boosting)),
        }

    def one_lead(self, calls: int, seconds: float) -> None:
        """One lead in process and over HTTP, in rounds; then MLflow's pyfunc on the same features.

        Args:
            calls: leads in process, a round.
            seconds: of requests over HTTP, a round.
        """
        for _ in range(ROUNDS):
            self._in_process(calls)
            self._over_http(some_leads(self.database, int(RATE * seconds) + 100))
        for name, rounds in self.rounds.items():
            ordered = sorted(rounds, key=lambda found: found["p99"])
            self.figures[name] = ordered[0]
            self.figures[f"{name}, busiest of {ROUNDS} rounds"] = ordered[-1]
        self._pyfunc()

    def _in_process(self, calls: int) -> None:
        """The scorer in a process of its own, as a service's is: it has trained nothing."""
        program = [sys.executable, __file__, "--online-only", str(self.home)]
        program += ["--online-leads", str(calls)]
        done = subprocess.run(program, check=True, capture_output=True, text=True)
        for name, found in json.loads(done.stdout.splitlines()[-1]).items():
            self.rounds.setdefault(name, []).append(found)

    def _over_http(self, leads: list[str]) -> None:
        """The service in a process of its own, at a fixed rate."""
        import uvloop

        port = free_port()
        command = [sys.executable, "-m", "uvicorn", "service.app:create_app", "--factory",
                   "--port", str(port), "--log-level", "warning", "--no-access-log"]  # fmt: skip
        # The asking side is to cost as little as it can: it runs on the same cores, and its own
        # pauses would count as the server's.
        with running(command, f"http://127.0.0.1:{port}/health/ready", {}), no_collection():
            uvloop.run(open_loop(port, leads[:100], RATE))
            times = uvloop.run(open_loop(port, leads[100:], RATE))
        name = f"over HTTP, {RATE:.0f} a second"
        self.rounds.setdefault(name, []).append(percentiles(times))

    def _pyfunc(self) -> None:
        """The registered model as MLflow loads it: how long it takes, and whether it agrees."""
        import mlflow
        import numpy as np
        import pandas as pd

        from ml import tracking
        from ml.champion import load_champion
        from ml.registry import input_example

        answers = asyncio.run(self._answers(some_leads(self.database, PYFUNC_CALLS)))
        champion = load_champion(self.settings, self.database)
        tracking.configure(self.settings, self.database)
        self.model_uri = f"models:/{champion.name}/{champion.version}"
        pyfunc = mlflow.pyfunc.load_model(self.model_uri)
        model = champion.model
        self.rows = [
            input_example(model, model.schema.encode_row(answer["features"])) for answer in answers
        ]
        times, differences = [], []
        for answer, row in zip(answers, self.rows, strict=True):
            started = time.perf_counter()
            score = float(np.asarray(pyfunc.predict(pd.DataFrame(row)))[0])
            times.append((time.perf_counter() - started) * 1000)
            differences.append(abs(score - answer["score"]))
        self.figures["mlflow pyfunc"] = percentiles(times)
        self.figures["greatest difference from the registered model"] = max(differences)

    async def _answers(self, leads: list[str]) -> list[dict[str, Any]]:
        from ml.online import OnlineScorer

        async with OnlineScorer(self.database, self.settings) as scorer:
            return [await scorer.score(lead) for lead in leads]

    def mlflow_serve(self) -> None:
        """``mlflow models serve`` on the same rows, one request after the other."""
        from ml import tracking

        port = free_port()
        command = [str(Path(sys.executable).with_name("mlflow")), "models", "serve", "-m",
                   self.model_uri, "--env-manager", "local", "--port", str(port), "--workers",
                   "1"]  # fmt: skip
        uri = tracking.tracking_uri(self.settings, self.database)
        with running(command, f"http://127.0.0.1:{port}/ping", {"MLFLOW_TRACKING_URI": uri}):
            times = []
            for row in self.rows:
                split = json.loads(row.to_json(orient="split", index=False))
                body = json.dumps({"dataframe_split": split}).encode()
                request = urllib.request.Request(
                    f"http://127.0.0.1:{port}/invocations", body,
                    {"Content-Type": "application/json"},
                )  # fmt: skip
                started = time.perf_counter()
                with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310
                    answer.read()
                times.append((time.perf_counter() - started) * 1000)
        self.figures["mlflow models serve"] = percentiles(times[5:])

    def batch(self, leads: int) -> None:
        """All leads in one run, in a process of its own."""
        self._repeat(leads)
        program = [sys.executable, __file__, "--score-only", str(self.home)]
        done = subprocess.run(program, check=True, capture_output=True, text=True)
        self.figures["batch"] = json.loads(done.stdout.splitlines()[-1])
        from ml.replay import replay_scores

        result = replay_scores(self.database, self.settings, limit=1_000)
        self.figures["replayed"] = {
            "scores": result.replayed, "differences": len(result.differences),
        }  # fmt: skip

    def _repeat(self, leads: int) -> None:
        with self.database.connect() as connection:
            columns = connection.execute(
                "select column_name, data_type from information_schema.columns where table_schema"
                " = 'marts' and table_name = 'lead_features' order by ordinal_position"
            ).fetchall()
            listed = ", ".join(
                "f.lead_id || '#' || n as lead_id" if name == "lead_id"
                else f"f.{name} * (0.9 + 0.2 * random()) as {name}" if kind == "double precision"
                else f"f.{name}"
                for name, kind in columns
            )  # fmt: skip
            found = connection.execute("select count(*) from marts.lead_features").fetchone()
            here = found[0] if found else 0
            connection.execute(
                f"create table marts.repeated as select {listed} from marts.lead_features as f"  # noqa: S608
                f" cross join generate_series(1, {-(-leads // here)}) as n limit {leads}"
            )
            connection.execute("drop view marts.lead_features cascade")
            names = ", ".join(name for name, _ in columns)
            connection.execute(
                f"create table marts.lead_features ({names}) as table marts.repeated"
            )
            connection.execute("drop table marts.repeated")
        with self.database.connect(autocommit=True) as connection:
            connection.execute("vacuum analyze marts.lead_features")


def online_only(home: Path, calls: int) -> None:
    """The scorer, in this process alone: percentiles as JSON."""
    os.environ["LEADENGINE_HOME"] = str(home)
    import uvloop

    from leadengine.settings import load_settings
    from ml.online import OnlineScorer
    from warehouse.database import open_database

    settings = load_settings(_env_file=None)
    database = open_database(settings)
    leads = some_leads(database, calls + 100)
    figures = {}

    async def run() -> None:
        async with OnlineScorer(database, settings) as scorer:
            await asyncio.to_thread(scorer.champion)
            for lead in leads[:100]:
                await scorer.score(lead)
            for name in ("in process", "in process, again"):
                times, hits = [], scorer.cache.hits
                for lead in leads[100:]:
                    started = time.perf_counter()
                    await scorer.score(lead)
                    times.append((time.perf_counter() - started) * 1000)
                figures[name] = percentiles(times) | {"hits": scorer.cache.hits - hits}

    # The loop that the service runs on too.
    uvloop.run(run())
    print(json.dumps(figures))


def score_only(home: Path) -> None:
    """The batch, in this process alone: seconds and peak memory as JSON."""
    os.environ["LEADENGINE_HOME"] = str(home)
    from leadengine.settings import load_settings
    from ml.champion import load_champion
    from ml.scoring import score_open_leads
    from warehouse.database import open_database

    started = time.perf_counter()
    settings = load_settings(_env_file=None)
    database = open_database(settings)
    load_champion(settings, database)
    loaded, spent = time.perf_counter(), time.process_time()
    result = score_open_leads(database, settings)
    ended, spent = time.perf_counter(), time.process_time() - spent
    with database.connect() as connection:
        counted = connection.execute(
            "select count(*) filter (where reasons <> '[]') from ml.current_lead_scores"
        ).fetchone()
        size = connection.execute("select sum(length(vectors)) from ml.feature_blocks").fetchone()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(
        json.dumps(
            {
                "leads": result.rows,
                "seconds": round(ended - loaded, 2),
                "python_cpu_seconds": round(spent, 2),
                "champion_loaded_in_seconds": round(loaded - started, 2),
                "with_reasons": counted[0] if counted else 0,
                "peak_memory_gib": round(peak, 2),
                "vector_bytes_a_lead": round(float(size[0]) / result.rows) if size else 0,
            }
        )
    )


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextlib.contextmanager
def no_collection() -> Iterator[None]:
    """Without pauses of this process's garbage collector."""
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


@contextlib.contextmanager
def running(command: list[str], ready_at: str, environment: dict[str, str]) -> Iterator[None]:
    """A server from the moment that it answers until the end.

    Raises:
        SystemExit: it does not come up within two minutes.
    """
    # MLflow starts uvicorn by its name.
    here = {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"}
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen(
            command, cwd=ROOT, stdout=output, stderr=output, start_new_session=True,
            env={**os.environ, **here, **environment},
        )  # fmt: skip
        try:
            for _ in range(480):
                with contextlib.suppress(urllib.error.URLError, OSError):
                    urllib.request.urlopen(ready_at, timeout=2).close()  # noqa: S310
                    break
                if process.poll() is not None:
                    break
                time.sleep(0.25)
            else:
                process.terminate()
            if process.poll() is not None:
                output.seek(0)
                sys.exit(f"{command[1:4]} did not start:\n{output.read()[-2000:].decode()}")
            yield
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, 15)
            process.wait(30)


async def open_loop(port: int, leads: list[str], rate: float) -> list[float]:
    """Milliseconds from when each request was due until its answer was there.

    Requests do not wait for each other: each takes a kept-alive connection that is free, or opens
    one.

    Raises:
        SystemExit: an answer was not 200.
    """
    idle: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []
    times: list[float] = []
    begun = time.perf_counter()

    async def connection() -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        while idle:
            reader, writer = idle.pop()
            # The server closes what has been idle for some seconds, as after a burst.
            if not reader.at_eof():
                return reader, writer
            writer.close()
        return await asyncio.open_connection("127.0.0.1", port)

    async def ask(lead: str, due: float) -> None:
        reader, writer = await connection()
        writer.write(
            f"POST /api/leads/{lead}/score HTTP/1.1\r\nHost: localhost\r\n"
            "Content-Length: 0\r\n\r\n".encode()
        )
        head = await reader.readuntil(b"\r\n\r\n")
        length = next(
            int(line.split(b":")[1]) for line in head.lower().split(b"\r\n")
            if line.startswith(b"content-length")
        )  # fmt: skip
        body = await reader.readexactly(length)
        times.append((time.perf_counter() - due) * 1000)
        if b" 200 " not in head.split(b"\r\n")[0]:
            sys.exit(f"{head[:80]!r} {body[:300]!r}")
        idle.append((reader, writer))

    tasks = []
    for number, lead in enumerate(leads):
        due = begun + number / rate
        await asyncio.sleep(max(0.0, due - time.perf_counter() - 0.003))
        # The loop's own timers are a millisecond or more late, which is none of the server's doing.
        while time.perf_counter() < due:  # noqa: ASYNC110 - nothing but the clock tells
            await asyncio.sleep(0)
        tasks.append(asyncio.create_task(ask(lead, due)))
    # The last first: to go through all of them would hold up its answer.
    for task in reversed(tasks):
        await task
    for _, writer in idle:
        writer.close()
    return times


def lines_of(figures: dict[str, Any]) -> list[list[str]]:
    """The lines of the table: what, p50, p95, p99, aim."""
    aims = {"in process": "p99 2 ms", f"over HTTP, {RATE:.0f} a second": "p99 5 ms"}
    lines = [
        [f"one lead, {name}", *(f"{found[p]:.2f}" for p in ("p50", "p95", "p99")),
         aims.get(name, "")]
        for name, found in figures.items()
        if isinstance(found, dict) and "p99" in found
    ]  # fmt: skip
    batch, replayed = figures["batch"], figures["replayed"]
    difference = figures["greatest difference from the registered model"]
    return [
        *lines,
        [
            f"batch: {batch['leads']:,} leads, reasons for {batch['with_reasons']:,}: "
            f"{batch['seconds']:.1f} s ({batch['python_cpu_seconds']:.1f} s of CPU in Python), "
            f"{batch['peak_memory_gib']:.2f} GiB",
            "", "", "", "30 s, 4 GiB for 1,000,000",
        ],
        [
            f"{replayed['scores']:,} stored scores replayed: {replayed['differences']} differ",
            "", "", "", "none",
        ],
        [f"greatest difference from pyfunc: {difference:.1e}", "", "", "", "1e-6"],
    ]  # fmt: skip


def described(figures: dict[str, Any], where: dict[str, Any]) -> str:
    """What the figures were measured with and on."""
    pace = figures["pace"]
    return (
        f"{where['cores']} cores, {where['memory_gib']} GiB, load {where['load_before']} before; a "
        f"champion of {figures['model']['trees']} trees; Python's pace {pace['least']:.2f} to "
        f"{pace['most']:.2f} ms"
    )


def pace() -> float:
    """Median milliseconds that a fixed piece of plain Python takes, just now, over a second.

    Tells machines apart, and a machine that others use too from itself at a quiet moment.
    """
    times = []
    for _ in range(1_500):
        started = time.perf_counter()
        found: dict[int, str] = {}
        for number in range(3_000):
            found[number % 97] = str(number)
        times.append((time.perf_counter() - started) * 1000)
    return round(statistics.median(times), 3)


def print_table(console: Console, figures: dict[str, Any], where: dict[str, Any]) -> None:
    """The one table."""
    table = Table(title=f"Serving; {described(figures, where)}")
    for heading in HEADINGS:
        table.add_column(heading, justify="left" if heading in {"what", "aim"} else "right")
    for line in lines_of(figures):
        table.add_row(*line)
    console.print(table)


def main() -> None:
    """Runs it and prints the figures."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--leads", type=int, default=1_000_000, help="leads of the batch")
    parser.add_argument("--online-leads", type=int, default=8_000, help="leads built by dbt")
    parser.add_argument(
        "--seconds", type=float, default=30.0, help="of requests over HTTP, a round"
    )
    parser.add_argument("--write", action="store_true", help="write into docs/serving.md")
    parser.add_argument("--score-only", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--online-only", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.online_only:
        online_only(arguments.online_only, arguments.online_leads)
        return
    if arguments.score_only:
        score_only(arguments.score_only)
        return
    free = shutil.disk_usage(tempfile.gettempdir()).free
    if free < arguments.leads * DISK_BYTES_PER_LEAD:
        sys.exit(f"needs {arguments.leads * DISK_BYTES_PER_LEAD >> 30} GiB of disk")
    console, where = Console(width=130), warehouse_benchmark().machine()
    with tempfile.TemporaryDirectory(prefix="leadengine-bench-") as folder:
        from warehouse.database import release_embedded

        serving = Serving(Path(folder), arguments.online_leads, console)
        most = arguments.online_leads - 100
        paces: list[float] = []
        try:
            for name, stage in (
                ("warehouse and champion", serving.prepare),
                (
                    "one lead",
                    lambda: serving.one_lead(min(3_000, most), min(arguments.seconds, most / RATE)),
                ),
                ("mlflow models serve", serving.mlflow_serve),
                ("batch", lambda: serving.batch(arguments.leads)),
            ):
                paces.append(pace())
                started = time.perf_counter()
                stage()
                console.print(f"{name}: {time.perf_counter() - started:.0f} s", style="dim")
        finally:
            serving.database.engine.dispose()
            release_embedded()
    serving.figures["pace"] = {"least": min(paces), "most": max(paces)}
    print_table(console, serving.figures, where)
    if arguments.write:
        text = markdown_table(HEADINGS, lines_of(serving.figures))
        write_block(
            DOCS / "serving.md", "serving", f"{text}\n\n{described(serving.figures, where)}."
        )
    print(json.dumps({"machine": where} | serving.figures))


if __name__ == "__main__":
    main()
