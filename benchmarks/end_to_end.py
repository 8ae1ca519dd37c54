"""Times `make run` as a user has it: first in an empty folder with installation, then again.

    python benchmarks/end_to_end.py            a fresh clone of this checkout, in a temporary folder
    python benchmarks/end_to_end.py --here     this checkout, with a state folder of its own
    python benchmarks/end_to_end.py --write    also into README.md, with the first run's summary

Prints one JSON object: seconds and peak memory (proportional set size, so that memory shared
between processes counts once) of each run, and the machine. Needs nothing but the standard
library until `make` has installed the rest.
"""

import argparse
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

from pages import table, write_block

ROOT = Path(__file__).resolve().parents[1]


def smaps_kib(pid: str, uid_marker: str) -> int:
    """Proportional set size of one process; 0 when it is gone or none of ours."""
    try:
        environment = Path(f"/proc/{pid}/environ").read_bytes()
        command = Path(f"/proc/{pid}/cmdline").read_bytes()
        if uid_marker.encode() not in environment and uid_marker.encode() not in command:
            return 0
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1])
    except OSError:
        return 0
    return 0


def watch(marker: str, stop: threading.Event, peak: list[int]) -> None:
    """Keeps the largest sum over all processes that carry the marker."""
    while not stop.is_set():
        pids = [name for name in os.listdir("/proc") if name.isdigit()]  # noqa: PTH208
        peak[0] = max(peak[0], sum(smaps_kib(pid, marker) for pid in pids))
        stop.wait(0.5)


def timed_run(folder: Path, home: Path) -> tuple[dict[str, float], str]:
    """One `make run`, and what it printed, which goes to our output as well."""
    marker = str(home)
    environment = os.environ | {"LEADENGINE_HOME": marker}
    stop, peak = threading.Event(), [0]
    watcher = threading.Thread(target=watch, args=(marker, stop, peak))
    watcher.start()
    started = time.monotonic()
    lines = []
    with subprocess.Popen(
        ["make", "run"], cwd=folder, env=environment, stdout=subprocess.PIPE, text=True
    ) as process:
        for line in process.stdout or ():
            print(line, end="", flush=True)
            lines.append(line.rstrip())
    seconds = time.monotonic() - started
    stop.set()
    watcher.join()
    if process.returncode:
        sys.exit(f"make run ended with exit code {process.returncode}")
    figures = {"seconds": round(seconds, 1), "peak_memory_mib": round(peak[0] / 1024)}
    return figures, "\n".join(lines)


def summary(printed: str) -> str:
    """The summary of a run, with the four hottest leads only."""
    _, _, after = printed.partition("Summary")
    told, _, _ = after.partition("Where to look next")
    told = told[told.index("All people") :].rstrip()
    hottest = re.compile(r"^ +5 {2,}.*?(?=^\s*$)", re.MULTILINE | re.DOTALL)
    return re.sub(r"\n{2,}", "\n\n", hottest.sub("  …\n", told))


def write(report: dict[str, Any], printed: str) -> None:
    """Puts figures and summary into the README."""
    readme = ROOT / "README.md"
    machine, first, second = report["machine"], report["first_run"], report["second_run"]
    heads = [
        f"{machine['cores']} cores, {machine['memory_gib']} GiB, Python {machine['python']}",
        "first run" + (", with installation" if first["with_installation"] else ""),
        "second run",
    ]
    rows = [
        ["time", *(f"{run['seconds']:.0f} s" for run in (first, second))],
        ["peak memory of all processes",
         *(f"{run['peak_memory_mib'] / 1024:.1f} GiB" for run in (first, second))],
    ]  # fmt: skip
    write_block(readme, "figures", table(heads, rows))
    write_block(readme, "summary", f"```text\n{summary(printed)}\n```")


def main() -> None:
    """Runs twice and prints the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--here", action="store_true", help="use this checkout's environment")
    parser.add_argument("--write", action="store_true", help="write into README.md")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="leadengine-bench-") as temporary:
        home = Path(temporary) / "state"
        folder = ROOT
        if not arguments.here:
            folder = Path(temporary) / "clone"
            subprocess.run(["git", "clone", "--quiet", str(ROOT), str(folder)], check=True)
        first, printed = timed_run(folder, home)
        second, _ = timed_run(folder, home)
        disk = sum(file.stat().st_size for file in home.rglob("*") if file.is_file())
        shutil.rmtree(home, ignore_errors=True)
    report = {
        "first_run": first | {"with_installation": not arguments.here},
        "second_run": second,
        "state_folder_mib": round(disk / 2**20),
        "machine": {
            "cores": os.cpu_count(),
            "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30),
            "python": platform.python_version(),
        },
    }
    print(json.dumps(report, indent=2))
    if arguments.write:
        write(report, printed)


if __name__ == "__main__":
    main()
