"""Times the proof behind a message, on the installation's own database.

    python benchmarks/explain.py            after `leadengine run`; up to 500 messages
    python benchmarks/explain.py --small    up to 50

Ends with one line of JSON. The first message is timed apart: it also reads rules and templates.
"""

import argparse
import json
import os
import platform
import statistics
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from activation.explain import explain_send
from leadengine.cli.context import migrated_database


def main() -> None:
    """Explains messages and prints how long it took."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--small", action="store_true", help="50 messages instead of 500")
    most = 50 if parser.parse_args().small else 500
    _, database = migrated_database()
    with database.connect() as connection:
        sends = connection.execute(
            "select send_id from ops.sends where sent_at is not null order by send_id limit %s",
            (most,),
        ).fetchall()
        sizes = connection.execute(
            "select (select count(*) from ops.sends), (select count(*) from ops.audit_trail),"
            " (select count(*) from intermediate.int_lead_timeline)"
        ).fetchone()
    if not sends:
        sys.exit("No message has been sent here; `leadengine run` sends some.")
    seconds = []
    for (send_id,) in sends:
        started = time.perf_counter()
        explain_send(database, send_id)
        seconds.append(time.perf_counter() - started)
    rest = sorted(seconds[1:] or seconds)
    figures = {
        "messages": len(seconds),
        "first_ms": round(seconds[0] * 1000, 1),
        "median_ms": round(statistics.median(rest) * 1000, 1),
        "p99_ms": round(rest[min(len(rest) - 1, len(rest) * 99 // 100)] * 1000, 1),
        "largest_ms": round(rest[-1] * 1000, 1),
        "sends": sizes[0] if sizes else 0,
        "audit_rows": sizes[1] if sizes else 0,
        "events": sizes[2] if sizes else 0,
        "machine": f"{os.cpu_count()} cores, Python {platform.python_version()}",
    }
    for name, value in figures.items():
        print(f"{name:<12} {value}")
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
