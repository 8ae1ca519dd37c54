"""Times the warehouse at scale, on generated history, each figure beside its floor.

    python benchmarks/warehouse.py                    1,000,000 leads, 10,000,000 events
    python benchmarks/warehouse.py --leads 20000      small; events follow, ten a lead
    python benchmarks/warehouse.py --verify           also: incremental against a full refresh
    python benchmarks/warehouse.py --write            also: the table into docs/data-engineers.md

The rows are generated in the raw tables (``sql/generate_raw.sql``, simulated people), in an
embedded PostgreSQL with a state folder of its own that is removed at the end. Everything after that
is the project itself: dbt builds the models, and one lead is computed by the SQL that the online
path runs.

What is measured, and against what floor of the same run:

- full build: ``dbt build``, without tests, of all that features, training set and communications
  need, from nothing; COPY of the raw rows into tables of the same columns.
- feature build: the model ``int_lead_features`` alone, nothing else running; one plain aggregate of
  fifteen columns over the same events (``sql/aggregate_floor.sql``). Of each the better of two. The
  touches are in order already (``int_feature_events``, kept per lead); what that took in the full
  build, beside other models, is a line of its own.
- incremental run: the same build an hour later, with what autovacuum and the checkpointer do
  meanwhile done and not counted, after 1 % of the leads changed: new, late, corrected
  and deleted messages, merged leads (``sql/change_leads.sql``); a tenth of the full build
  is the aim, COPY of the new raw rows the floor. Then again with nothing changed, and, last, the
  first run of the next day, which computes the features of all open leads.
- one lead: ``rendered/one_lead_features.sql`` with bound parameters on a warm connection, in
  milliseconds; one plain aggregate over the lead's events. What a call waited for a core, which
  other work kept busy, is told apart where Linux says so.

Prints one table and, last, one JSON object. Times are wall-clock seconds, dbt's own start included.
On two cores a million leads take some 25 minutes, of which each step says how far it is.
"""

import argparse
import datetime as dt
import json
import os
import re
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql
from rich.console import Console

# This checkout's packages, whatever is installed.
ROOT = Path(__file__).resolve().parents[1]
SQL = Path(__file__).parent / "sql"
sys.path.insert(0, str(ROOT))

from benchmarks.pages import DOCS, write_block  # noqa: E402
from benchmarks.report import Measure, machine, markdown, print_table  # noqa: E402

NOW = dt.datetime(2026, 1, 31, 12, tzinfo=dt.UTC)
EVER = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
LATER = NOW + dt.timedelta(hours=1)
NEXT_DAY = NOW + dt.timedelta(days=1)
PROJECT = ROOT / "dbt_project"
MODELS = ("+lead_features", "+lead_training_set", "+fct_communications")
RAW = ("contacts", "messages", "appointments", "opportunities")
COMPARED = (
    "intermediate.int_communications", "intermediate.int_lead_timeline",
    "intermediate.int_lead_status", "intermediate.int_opt_outs",
    "intermediate.int_feature_events", "intermediate.int_agent_days",
    "intermediate.int_lead_identities", "intermediate.int_leads", "intermediate.int_lead_addresses",
    "intermediate.int_training_spine", "intermediate.int_scoring_spine",
    "marts.fct_communications", "marts.lead_features", "marts.lead_training_set",
)  # fmt: skip
# One lead in this many changes before the incremental run.
CHANGED_EVERY = 100
ONE_LEAD_CALLS = 2000
# A model that takes longer is named when it is done, in seconds.
SLOW_MODEL = 10.0
# A raw row, its copies in the models, their indexes and the write-ahead log, measured.
DISK_BYTES_PER_EVENT = 3500


@dataclass
class DbtTimes:
    """What a build took, in seconds: all of it, and by model."""

    seconds: float
    by_model: dict[str, float] = field(default_factory=dict)


class Benchmark:
    """One run on one state folder.

    Args:
        home: the folder, ours alone.
        leads: contacts to generate.
        events: events that the timeline shall have, roughly.
        console: where progress goes.
    """

    def __init__(self, home: Path, leads: int, events: int, console: Console) -> None:
        os.environ["LEADENGINE_HOME"] = str(home)
        from leadengine.settings import load_settings
        from warehouse.database import open_database
        from warehouse.migrate import upgrade

        self.started = time.monotonic()
        self.home, self.leads, self.events, self.console = home, leads, events, console
        self.database = open_database(load_settings(_env_file=None))
        upgrade(self.database)
        os.environ.update(self.database.dbt_env())
        self.measures: list[Measure] = []
        self.details: dict[str, Any] = {}

    def execute(self, name: str, **parameters: Any) -> float:
        """Runs a file of SQL; seconds."""
        statement = (SQL / name).read_text(encoding="utf-8")
        return self.timed(lambda connection: run_file(connection, statement, parameters))

    def timed(self, work: Callable[[psycopg.Connection], Any]) -> float:
        """Seconds that ``work`` and its commit take, in a connection opened before."""
        with psycopg.connect(self.database.libpq_url) as connection:
            started = time.perf_counter()
            work(connection)
            connection.commit()
            return time.perf_counter() - started

    def generate(self) -> None:
        """Fills the raw tables."""
        from ingestion.state import ensure_indexes
        from ingestion.tables import TABLES

        with self.database.connect() as connection:
            connection.execute("create schema benchmark")
            for spec in TABLES:
                columns = sql.SQL(", ").join(
                    sql.SQL("{} {}").format(sql.Identifier(name), sql.SQL(kind))
                    for name, kind in spec.sql_types.items()
                )
                connection.execute(
                    sql.SQL("create table {} ({})").format(
                        sql.Identifier(spec.schema, spec.table), columns
                    )
                )
        # What is no message: intake, bookings, deals and opened emails.
        mean_messages = max(0.5, (self.events / self.leads - 2.0) / 1.045)
        seconds = self.execute(
            "generate_raw.sql", leads=self.leads, events=self.events, now=NOW,
            mean_messages=mean_messages, agents=max(8, self.leads // 500),
        )  # fmt: skip
        with self.database.connect() as connection:
            ensure_indexes(connection, TABLES)
        with self.database.connect(autocommit=True) as connection:
            connection.execute("vacuum analyze")
        self.details["generated_in_seconds"] = round(seconds, 1)
        self.say(f"generated in {seconds:.0f} s")

    def dbt(self, as_of: dt.datetime, *options: str, models: Sequence[str] = MODELS) -> DbtTimes:
        """Builds the models, and the snapshots that they read, at that moment.

        Raises:
            SystemExit: a model failed; says which, and why.
        """
        from dbt.cli.main import dbtRunner

        target = self.home / "target"
        started = time.perf_counter()
        result = dbtRunner(callbacks=[self.tell_slow_models]).invoke(
            ["--log-level", "none", "--log-path", str(target), "--no-use-colors", "build",
             "--resource-type", "model", "--resource-type", "snapshot",
             "--select", *models, *options, "--project-dir", str(PROJECT), "--profiles-dir",
             str(PROJECT), "--target-path", str(target), "--threads", str(os.cpu_count() or 2),
             "--vars", json.dumps({"as_of": as_of.isoformat()})]
        )  # fmt: skip
        seconds = time.perf_counter() - started
        nodes = getattr(result.result, "results", [])
        if not result.success:
            failed = [f"{one.node.name}: {one.message}" for one in nodes if one.status == "error"]
            sys.exit("\n".join(failed) or str(result.exception))
        by_model = {one.node.name: one.execution_time for one in nodes}
        return DbtTimes(seconds, by_model)

    def tell_slow_models(self, event: Any) -> None:
        """Of dbt's events those that a model is done which took long."""
        if event.info.name == "LogModelResult" and event.data.execution_time > SLOW_MODEL:
            name = event.data.node_info.node_name
            self.console.print(f"[dim]  {name}: {event.data.execution_time:.0f} s[/dim]")

    def full_build(self) -> DbtTimes:
        """Builds everything from nothing, then the features alone."""
        copied = sum(self.copy_seconds(f"raw_ghl.{name}") for name in RAW)
        self.say(f"COPY of the raw rows: {copied:.1f} s")
        full = self.dbt(NOW, "--full-refresh")
        self.say(f"full build: {full.seconds:.0f} s")
        self.measures.append(Measure("full build", full.seconds, copied, "COPY of the raw rows"))
        with self.database.connect() as connection:
            counts = {
                name: connection.execute(f"select count(*) from {name}").fetchone()  # noqa: S608
                for name in ("intermediate.int_lead_timeline", "marts.lead_features",
                             "marts.lead_training_set")
            }  # fmt: skip
        self.details["rows"] = {name: row[0] if row else 0 for name, row in counts.items()}
        self.feature_build(full)
        return full

    def feature_build(self, full: DbtTimes) -> None:
        """The features of all open leads, and the floor, in turn."""
        floors, builds = [], []
        for _ in range(2):
            floors.append(self.execute("aggregate_floor.sql", as_of=NOW))
            with self.database.connect() as connection:
                connection.execute("drop table benchmark.aggregate_floor")
            build = self.dbt(NOW, "--full-refresh", models=("int_lead_features",))
            builds.append(build.by_model["int_lead_features"])
        floor, plain = min(floors), "one plain aggregate, 15 columns"
        self.measures += [
            Measure("feature build (int_lead_features)", min(builds), floor, plain,
                    aim="2.5 x the floor"),
            Measure("touches put in order before, in the full build",
                    full.by_model["int_feature_events"], floor, plain),
        ]  # fmt: skip
        self.say(f"features: {min(builds):.1f} s, floor {floor:.1f} s")

    def settle(self) -> None:
        """What the server does of its own accord in the hour before the next run."""
        with self.database.connect(autocommit=True) as connection:
            connection.execute("vacuum analyze")
            connection.execute("checkpoint")
        self.say("settled")

    def incremental(self, full: DbtTimes) -> None:
        """Changes some leads and builds again."""
        self.execute("change_leads.sql", leads=self.leads, every=CHANGED_EVERY, now=LATER)
        copied = sum(
            self.copy_seconds(f"raw_ghl.{name}", since=NOW) for name in (*RAW, "contact_tombstones")
        )
        run = self.dbt(LATER)
        self.say(f"incremental: {run.seconds:.0f} s")
        self.measures.append(
            Measure(
                "incremental run, 1 % of leads changed", run.seconds, copied,
                "COPY of the new raw rows",
                aim=f"{full.seconds / 10:.1f} s, a tenth of the full build",
            )
        )  # fmt: skip
        self.details["incremental_share_of_full"] = round(run.seconds / full.seconds, 3)
        quiet = self.dbt(LATER + dt.timedelta(minutes=1))
        self.measures.append(
            Measure("the same, nothing changed", quiet.seconds, copied, "COPY of the new raw rows")
        )
        self.details["seconds_by_model"] = {
            name: {"full": round(seconds, 2), "incremental": round(run.by_model[name], 2)}
            for name, seconds in sorted(full.by_model.items(), key=lambda item: -item[1])
            if seconds >= 0.01 * full.seconds
        }

    def next_day(self) -> None:
        """The first run of another day, nothing changed."""
        run = self.dbt(NEXT_DAY)
        self.say(f"first run of the next day: {run.seconds:.0f} s")
        floor = next(one.floor for one in self.measures if one.name.startswith("feature build"))
        self.measures.append(
            Measure(
                "first run of the next day", run.seconds, floor, "one plain aggregate, 15 columns"
            )
        )

    def verify(self) -> None:
        """Holds what the incremental runs left to a full refresh at the same moment.

        Raises:
            SystemExit: they differ.
        """
        before = {name: self.digest(name) for name in COMPARED}
        self.dbt(NEXT_DAY, "--full-refresh")
        differing = [name for name in COMPARED if self.digest(name) != before[name]]
        self.details["incremental_equals_full_refresh"] = not differing
        if differing:
            sys.exit(f"differ from a full refresh: {', '.join(differing)}")
        self.say("incremental equals a full refresh")

    def digest(self, table: str) -> tuple[Any, ...] | None:
        """Rows of a table and the sum of their hashes, which no order of rows changes."""
        with self.database.connect() as connection:
            names = sorted(
                name for (name,) in connection.execute(
                    "select column_name from information_schema.columns"
                    " where table_schema || '.' || table_name = %s", (table,)
                )
            )  # fmt: skip
            return connection.execute(
                sql.SQL("select count(*), sum(hash_record_extended(row({}), 0)) from {}").format(
                    sql.SQL(", ").join(map(sql.Identifier, names)),
                    sql.Identifier(*table.split(".")),
                )
            ).fetchone()

    def copy_seconds(self, table: str, since: dt.datetime = EVER) -> float:
        """How long COPY takes to write the rows loaded since into an empty table."""
        source = sql.Identifier(*table.split("."))
        file = self.home / "copy.bin"
        with self.database.connect() as connection, file.open("wb") as out:
            query = sql.SQL(
                "copy (select * from {} where _loaded_at > {}) to stdout (format binary)"
            ).format(source, sql.Literal(since))
            with connection.cursor().copy(query) as blocks:
                for block in blocks:
                    out.write(block)

        def load(connection: psycopg.Connection) -> None:
            with (
                file.open("rb") as found,
                connection.cursor().copy(
                    "copy benchmark.copied from stdin (format binary)"
                ) as copy,
            ):
                while block := found.read(1 << 20):
                    copy.write(block)

        with self.database.connect() as connection:
            connection.execute(sql.SQL("create table benchmark.copied (like {})").format(source))
        try:
            return self.timed(load)
        finally:
            file.unlink()
            with self.database.connect() as connection:
                connection.execute("drop table benchmark.copied")

    def one_lead(self) -> None:
        """Single leads, spread over all, on one warm connection."""
        statement = (PROJECT / "rendered" / "one_lead_features.sql").read_text(encoding="utf-8")
        floor = (SQL / "one_lead_floor.sql").read_text(encoding="utf-8")
        step = max(1, self.leads // ONE_LEAD_CALLS)
        with self.database.connect() as connection:
            ids = [
                name for (name,) in connection.execute(
                    "select lead_id from (select lead_id, row_number() over (order by md5(lead_id))"
                    " as place from intermediate.int_leads) as leads where place %% %s = 0",
                    (step,),
                )
            ]  # fmt: skip
            plan = "\n".join(
                line for (line,) in connection.execute(
                    "explain " + statement, {"lead_id": ids[0], "as_of": LATER}
                )
            )  # fmt: skip
            times = [self.one(connection, statement, ids), self.one(connection, floor, ids)]
        self.details["one_lead_sequential_scans"] = re.findall(r"Seq Scan on (\w+)", plan)
        for name, clock, percentile, aim in (
            ("one lead, p50", "took", 50, ""),
            ("one lead, p99", "took", 99, "3 ms"),
            ("one lead, p99 without waiting for a core", "worked", 99, ""),
        ):
            value, least = (
                statistics.quantiles(one[clock], n=100)[percentile - 1] for one in times
            )
            self.measures.append(
                Measure(name, value, least, "plain aggregate of one lead", unit="ms", aim=aim)
            )

    @staticmethod
    def one(
        connection: psycopg.Connection, statement: str, ids: list[str]
    ) -> dict[str, list[float]]:
        """Milliseconds of each call: ``took``, and ``worked``, which is that less waiting.

        The first hundred are left out: they warm up.
        """
        took, worked = [], []
        processes = (connection.info.backend_pid, os.getpid())
        for lead_id in ids[:100] + ids:
            waited = -sum(map(waited_for_core, processes))
            started = time.perf_counter()
            connection.execute(statement, {"lead_id": lead_id, "as_of": LATER}).fetchall()
            took.append((time.perf_counter() - started) * 1000)
            waited += sum(map(waited_for_core, processes))
            # Both may wait at once, so that the sum can be more than all the time there was.
            worked.append(max(took[-1] - waited, 0.001))
        return {"took": took[100:], "worked": worked[100:]}

    def title(self, where: dict[str, Any]) -> str:
        """What was measured, and on which machine."""
        rows = self.details["rows"]["intermediate.int_lead_timeline"]
        return (
            f"{self.leads:,} leads, {rows:,} events; {where['cores']} cores,"
            f" {where['memory_gib']} GiB, load {where['load_before']} before"
        )

    def remarks(self) -> list[str]:
        """What the table does not say."""
        shares = [f"The incremental run took {self.details['incremental_share_of_full']:.2f} of"
                  " the full build."]  # fmt: skip
        if "incremental_equals_full_refresh" in self.details:
            shares.append("What it left was held to a full refresh, row for row.")
        slowest = sorted(
            self.details["seconds_by_model"].items(), key=lambda item: -item[1]["incremental"]
        )
        models = ", ".join(f"`{name}` {one['incremental']:.0f} s" for name, one in slowest[:5])
        return [*shares, f"Most of it were {models}."]

    def say(self, text: str) -> None:
        """Progress, with the time since the start and the disk that is used."""
        with self.database.connect() as connection:
            size = connection.execute("select pg_database_size(current_database())").fetchone()
        self.details["database_gib"] = round((size[0] if size else 0) / 2**30, 2)
        minutes = (time.monotonic() - self.started) / 60
        self.console.print(
            f"[dim]{minutes:.1f} min: {text}; database {self.details['database_gib']} GiB[/dim]"
        )


def waited_for_core(pid: int) -> float:
    """Milliseconds that a process was ready to run and had no core; 0 where nothing says so."""
    try:
        return int(Path(f"/proc/{pid}/schedstat").read_text().split()[1]) / 1e6
    except OSError:
        return 0.0


def run_file(connection: psycopg.Connection, text: str, parameters: dict[str, Any]) -> None:
    """Runs the statements of a file one by one, each with the parameters it names."""
    body = "\n".join(line for line in text.splitlines() if not line.startswith("--"))
    for statement in body.split(";\n"):
        if statement.strip():
            connection.execute(statement, parameters)  # type: ignore[arg-type, unused-ignore]


def main() -> None:
    """Runs it and prints the figures."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--leads", type=int, default=1_000_000)
    parser.add_argument("--events", type=int, help="default: ten a lead")
    parser.add_argument("--verify", action="store_true", help="compare with a full refresh")
    parser.add_argument(
        "--write", action="store_true", help="write the table into docs/data-engineers.md"
    )
    arguments = parser.parse_args()
    events = arguments.events or arguments.leads * 10
    free = shutil.disk_usage(tempfile.gettempdir()).free / 2**30
    needed = events * DISK_BYTES_PER_EVENT / 2**30
    if free < needed:
        sys.exit(f"needs some {needed:.0f} GiB of disk; {free:.0f} are free")
    console, where = Console(width=130), machine()
    with tempfile.TemporaryDirectory(prefix="leadengine-bench-") as folder:
        from warehouse.database import release_embedded

        benchmark = Benchmark(Path(folder), arguments.leads, events, console)
        try:
            benchmark.generate()
            full = benchmark.full_build()
            benchmark.settle()
            benchmark.incremental(full)
            benchmark.one_lead()
            benchmark.next_day()
            if arguments.verify:
                benchmark.verify()
        finally:
            benchmark.database.engine.dispose()
            release_embedded()
    print_table(console, benchmark.title(where), benchmark.measures)
    figures = [asdict(one) | {"ratio": round(one.ratio, 2)} for one in benchmark.measures]
    print(json.dumps({"machine": where, "leads": arguments.leads, "measures": figures}
                     | benchmark.details))  # fmt: skip
    if arguments.write:
        text = markdown(benchmark.title(where), benchmark.measures, benchmark.remarks())
        write_block(DOCS / "data-engineers.md", "scale", text)


if __name__ == "__main__":
    main()
