"""Times `make run` as a user has it: first in an empty folder with installation, then again.

    python benchmarks/end_to_end.py            a fresh clone of this checkout, in a temporary folder
    python benchmarks/end_to_end.py --here     this checkout, with a state folder of its own

Prints one JSON object: seconds and peak memory (proportional set size, so that memory shared
between processes counts once) of each run, and the machine. Needs nothing but the standard
library until `make` has installed the rest.
"""

import argparse
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

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


def timed_run(folder: Path, home: Path) -> dict[str, float]:
    """One `make run`; its output goes to ours."""
    marker = str(home)
    environment = os.environ | {"LEADENGINE_HOME": marker}
    stop, peak = threading.Event(), [0]
    watcher = threading.Thread(target=watch, args=(marker, stop, peak))
    watcher.start()
    started = time.monotonic()
    result = subprocess.run(["make", "run"], cwd=folder, env=environment, check=False)
    seconds = time.monotonic() - started
    stop.set()
    watcher.join()
    if result.returncode:
        sys.exit(f"make run ended with exit code {result.returncode}")
    return {"seconds": round(seconds, 1), "peak_memory_mib": round(peak[0] / 1024)}


def main() -> None:
    """Runs twice and prints the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--here", action="store_true", help="use this checkout's environment")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="leadengine-bench-") as temporary:
        home = Path(temporary) / "state"
        folder = ROOT
        if not arguments.here:
            folder = Path(temporary) / "clone"
            subprocess.run(["git", "clone", "--quiet", str(ROOT), str(folder)], check=True)
        first = timed_run(folder, home)
        second = timed_run(folder, home)
        disk = sum(file.stat().st_size for file in home.rglob("*") if file.is_file())
        shutil.rmtree(home, ignore_errors=True)
    print(
        json.dumps(
            {
                "first_run": first | {"with_installation": not arguments.here},
                "second_run": second,
                "state_folder_mib": round(disk / 2**20),
                "machine": {
                    "cores": os.cpu_count(),
                    "memory_gib": round(
                        os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
                    ),
                    "python": platform.python_version(),
                },
            },
            indent=2,
        )
    )


if __name__ == "__main__":
    main()
