"""Activation against the sandbox: a storm, throughput, the providers' limits, a big plan, others.

    python benchmarks/activation.py                       everything, about a quarter of an hour
    python benchmarks/activation.py --write               also into docs/marketers.md
    python benchmarks/activation.py --small               small sizes, a few minutes
    python benchmarks/activation.py --sections plan,chaos
    python benchmarks/activation.py --seeds 20            the storm once a seed (nightly)

drt (``drt-core[postgres]``) is compared with where it is installed, or where DRT names its program;
give it an environment of its own.

Prints one table, and one JSON object on the last line. The sandbox and the database run on the
same cores as the worker; the CPU time of each says what bounds the rate.
"""

import argparse
import json
import os
import platform
import resource
import shutil
import sys
import tempfile
import time
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

# This checkout's packages, whatever is installed.
ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from activation.dispatch import dispatch_batch  # noqa: E402
from benchmarks.activation_world import meter, world  # noqa: E402
from benchmarks.chaos import WIDE_LIMITS, Storm, Weather, restart_database  # noqa: E402
from benchmarks.pages import DOCS, write_block  # noqa: E402
from providers.factory import build_clients  # noqa: E402
from providers.limits import DEFAULT_LIMITS  # noqa: E402
from warehouse.rate_limits import PostgresRateLimiter  # noqa: E402

SECTIONS = ("chaos", "throughput", "limits", "plan", "others")


@dataclass
class Line:
    """One row of the table."""

    section: str
    what: str
    value: str
    aim: str
    detail: dict[str, Any]


def throughput(messages: int) -> list[Line]:
    """Sends a second from one process, guarantees on, at 2 ms a call without limits."""
    with tempfile.TemporaryDirectory() as folder, world(Path(folder), messages * 2 + 200) as made:
        plan = made.plan(messages, override="benchmark")
        made.approve(plan)
        limiter = PostgresRateLimiter(made.database)
        with build_clients(made.settings, limiter, limits=WIDE_LIMITS) as clients:
            # The official SDKs take a second to import; that is not sending.
            assert clients.twilio._sdk.messages
            assert clients.sendgrid._api.mail
            cpu = meter(made)
            report = dispatch_batch(
                made.database, clients, made.settings, plan.batch_id, made.clock
            )
            used = cpu.read()
        limiter.close()
    sent = sum(report.sent.values())
    each = {name: round(seconds / sent * 1000, 2) for name, seconds in used.items()}
    cores = os.cpu_count() or 1
    busy = {name: used[name] / used["wall"] for name in ("worker", "sandbox", "database")}
    bound = (
        "the worker's one core (Python runs one thread at a time)"
        if busy["worker"] > 0.85
        else f"all {cores} cores, of which the worker has {busy['worker']:.0%} of one"
        if sum(busy.values()) > 0.85 * cores
        else "waiting: other programs on this machine, or the sandbox's answers"
    )
    return [
        Line(
            "throughput",
            f"{sent:,} messages, 2 ms a call, no limits",
            f"{sent / used['wall']:.0f} a second",
            ">= 400",
            {"rate": sent / used["wall"], "cpu_ms_per_message": each, "bound_by": bound},
        )
    ]


def limits(seconds: int) -> list[Line]:
    """The share of Twilio's limit that is used in steady state, and how many 429 it costs."""
    limit = DEFAULT_LIMITS.twilio
    allowed = limit.capacity / limit.per_seconds
    messages = int(allowed * seconds * 1.2)
    with (
        tempfile.TemporaryDirectory() as folder,
        world(Path(folder), messages * 4 + 400, unlimited=False) as made,
    ):
        plan = made.plan(messages, channels=["sms"], override="benchmark")
        made.approve(plan)
        limiter = PostgresRateLimiter(made.database)
        with build_clients(made.settings, limiter) as clients:
            dispatch_batch(made.database, clients, made.settings, plan.batch_id, made.clock)
        limiter.close()
        requests = [
            line
            for line in made.get("/_ledger/requests")
            if line["provider"] == "twilio" and line["method"] == "POST"
        ]
        refused = sum(line["status"] == 429 for line in requests)
        moments = made.rows(
            "select extract(epoch from sent_at)::float from ops.sends where sent_at is not null"
            " order by 1"
        )
    # The first seconds and the last are not steady.
    times = [row[0] for row in moments][int(allowed) : -int(allowed)]
    rate = (len(times) - 1) / (times[-1] - times[0]) if len(times) > 1 else 0.0
    return [
        Line(
            "limits",
            f"Twilio's {limit.capacity} requests in {limit.per_seconds:.0f} s",
            f"{rate / allowed:.1%} of {allowed:.0f} a second, {refused} refused",
            ">= 95 %, 0",
            {"share": rate / allowed, "refused": refused, "messages": len(moments)},
        )
    ]


def plan(leads: int) -> list[Line]:
    """A plan over every lead of an account: time, and the memory that it adds."""
    with tempfile.TemporaryDirectory() as folder, world(Path(folder), leads) as made:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        started = time.monotonic()
        made_plan = made.plan(
            leads, audience="never_answered", holdout_share=0.1, override="benchmark"
        )
        seconds = time.monotonic() - started
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return [
        Line(
            "plan",
            f"{sum(made_plan.counts.values()):,} decisions, {made_plan.counts['send']:,} messages",
            f"{seconds:.1f} s, {peak / 1024:.0f} MiB at most",
            "< 10 s, < 500 MB",
            {"seconds": seconds, "peak_mib": peak / 1024, "added_mib": (peak - before) / 1024},
        )
    ]


def chaos(messages: int, kills: int, seeds: int) -> list[Line]:
    """The storm, once for each seed."""
    lines = []
    for seed in range(seeds):
        with (
            tempfile.TemporaryDirectory() as folder,
            world(Path(folder), messages * 2 + 200) as made,
        ):
            made_plan = made.plan(messages, override="benchmark")
            made.approve(made_plan)
            home = made.home
            outcome = Weather(
                made.database,
                made.settings,
                made_plan.batch_id,
                made.clock.now(),
                lambda home=home: restart_database(home),  # type: ignore[misc]
            ).run(Storm(kills, max(1, kills // 5), max(1, kills // 5), seed))
        lines.append(
            Line(
                "chaos",
                f"seed {seed}: {messages:,} messages, {outcome.kills} kills, "
                f"{outcome.restarts} restarts of the database, {outcome.gusts} storms of 429",
                f"{outcome.duplicates} twice, {outcome.lost} lost, {outcome.unsettled} unsettled",
                "0, 0, 0",
                outcome.as_dict(),
            )
        )
    return lines


def others(messages: int, kills: int) -> list[Line]:
    """The same number of messages by the engine, by dlt, and by drt where it is installed."""
    from benchmarks.rivals import push_with_dlt, push_with_drt

    found: dict[str, dict[str, Any]] = {}
    with tempfile.TemporaryDirectory() as folder, world(Path(folder), messages * 2 + 200) as made:
        made_plan = made.plan(messages, override="benchmark")
        made.approve(made_plan)
        home = made.home
        weather = Weather(
            made.database, made.settings, made_plan.batch_id, made.clock.now(),
            lambda: restart_database(home),
        )  # fmt: skip
        found["the engine"] = weather.run(Storm(kills, 0, 0, seed=1, workers=1)).as_dict()
        found[f"dlt {version('dlt')}"] = push_with_dlt(made, messages, kills, 1).as_dict()
        program = os.environ.get("DRT") or shutil.which("drt")
        if program:
            found["drt"] = push_with_drt(made, program, messages, kills, 1).as_dict()
    lines = [
        Line(
            "others",
            f"{name}: {messages:,} messages, {told['kills']} kills, 5 % of the answers lost",
            f"{told['duplicates']} twice, {told['lost']} lost, {told['seconds']:.0f} s"
            + ("" if told.get("says_done", True) else ", not done by then"),
            "0, 0 (the engine)" if name == "the engine" else "",
            told,
        )
        for name, told in found.items()
    ]
    if not program:
        lines.append(
            Line("others", "drt", "not installed: set DRT to its program to have it run", "", {})
        )
    return lines


def _markdown(lines: list[Line], machine: dict[str, Any]) -> str:
    rows = ["| measured | seen | aim |", "|---|---|---|"]
    rows += [
        f"| {line.what} | {line.value} | {line.aim.replace('>=', 'at least')} |" for line in lines
    ]
    [sent] = [line for line in lines if "bound_by" in line.detail]
    cpu = sent.detail["cpu_ms_per_message"]
    return "\n".join(
        [
            *rows,
            "",
            f"The rate of sending is bound by {sent.detail['bound_by']}: a message takes"
            f" {cpu['worker']} ms of the worker's CPU, {cpu['database']} of the database's and"
            f" {cpu['sandbox']} of the sandbox's, which runs on the same cores"
            f" ({machine['cores']} cores, Python {machine['python']}).",
        ]
    )


def main() -> None:
    """Runs the sections asked for and prints what they found."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--small", action="store_true", help="small sizes")
    parser.add_argument("--sections", default=",".join(SECTIONS), help="by comma")
    parser.add_argument("--write", action="store_true", help="write into docs/marketers.md")
    parser.add_argument("--seeds", type=int, default=1, help="storms")
    options = parser.parse_args()
    wanted = options.sections.split(",")
    unknown = [name for name in wanted if name not in SECTIONS]
    if unknown:
        parser.error(f"unknown section {unknown[0]}; choose from {', '.join(SECTIONS)}")
    if options.write and (options.small or len(set(wanted)) < len(SECTIONS)):
        parser.error("--write takes every section in its full size")
    small = options.small
    sections = {
        "chaos": lambda: chaos(500 if small else 10_000, 5 if small else 50, options.seeds),
        "throughput": lambda: throughput(2_000 if small else 10_000),
        "limits": lambda: limits(20 if small else 60),
        "plan": lambda: plan(20_000 if small else 100_000),
        "others": lambda: others(500 if small else 3_000, 5 if small else 10),
    }
    lines: list[Line] = []
    for name in wanted:
        started = time.monotonic()
        lines += sections[name]()
        print(f"{name}: {time.monotonic() - started:.0f} s", file=sys.stderr, flush=True)
    table = Table("section", "what", "value", "aim")
    for line in lines:
        table.add_row(line.section, line.what, line.value, line.aim)
    console = Console(width=140)
    console.print(table)
    for line in lines:
        if "bound_by" in line.detail:
            console.print(f"Bound by {line.detail['bound_by']}; {line.detail}")
    machine = {
        "cores": os.cpu_count(),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30),
        "python": platform.python_version(),
        "load": round(os.getloadavg()[0], 1),
    }
    if options.write:
        write_block(DOCS / "marketers.md", "activation", _markdown(lines, machine))
    print(json.dumps({"machine": machine, "results": [vars(line) for line in lines]}, default=str))


if __name__ == "__main__":
    main()
