"""How often a batch that changes nothing is called a success or a harm, looked at every day.

    python benchmarks/measure.py            1,000 simulated batches of each kind
    python benchmarks/measure.py --small    100
    python benchmarks/measure.py --example  what is said of one simulated batch as its days go by

Simulates batches with a 10 % holdout whose leads convert over 60 days, looks at each on days 14 to
60, and counts how many ever tell a difference: by the engine's boundary, and by the usual 95 % test
of two shares, made for one look but looked at daily. Batches that end with "not enough data" are
counted apart. Where the message changes nothing, who is held out is drawn 20 times more for each
batch, since a thousand batches alone tell the rate to 0.7 points only. Then the same with a message
that works. Ends with one line of JSON. Seeded.
"""

import argparse
import json
import math
import os
import platform
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import numpy as np
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from activation.measure import judge
from activation.sequential import (
    LEAST_FALSE_ALARM,
    Look,
    daily_looks,
    exact_interval,
    first_crossing,
)

DAYS = np.arange(1, 61)
HOLDOUT, BASE = 0.1, 0.08
REDRAWN = 20
Counts = NDArray[np.int64]


def simulate(
    random: np.random.Generator, leads: int, factor: float
) -> tuple[int, int, Counts, Counts]:
    """Sizes of the arms (sent to, held out) and each one's conversions to the end of each day."""
    held = random.random(leads) < HOLDOUT
    rate = np.where(held, BASE, BASE * factor)
    at = np.where(random.random(leads) < rate, 60 * random.beta(1, 1.5, leads), np.inf)
    counts = [np.searchsorted(np.sort(at[arm]), DAYS, side="right") for arm in (~held, held)]
    return int((~held).sum()), int(held.sum()), counts[0], counts[1]


def naive_crosses(send: int, holdout: int, a: Counts, b: Counts) -> NDArray[np.bool_]:
    """Whether the usual test of two shares is significant at 5 %, on each day."""
    pooled = (a + b) / (send + holdout)
    error = np.sqrt(pooled * (1 - pooled) * (1 / send + 1 / holdout))
    difference = np.abs(a / send - b / holdout)
    enough = (DAYS >= 14) & (a + b >= 10)
    return np.asarray(enough & (difference > 1.959964 * error))


def covers(looks: list[Look], send: int, holdout: int, b: Counts, factor: float) -> bool:
    """Whether the interval held the true difference at every twelfth look and the last."""
    for look in [*looks[::12], looks[-1]]:
        day = look.day
        # The share of conversions that have happened by then, of Beta(1, 1.5).
        done = 1 - (1 - day / 60) ** 1.5
        truth = BASE * (factor - 1) * done
        interval = exact_interval(look, send, holdout, b.tolist())
        if interval is None or not interval[0] <= truth <= interval[1]:
            return False
    return True


def redrawn(
    random: np.random.Generator, looks: list[Look], send: int, holdout: int, both: Counts
) -> int:
    """In how many of some draws of who is held out, of a batch that changes nothing, is told."""
    told = 0
    for _ in range(REDRAWN):
        held = random.permutation(send + holdout)[: both[-1]] < holdout
        running = np.concatenate([[0], np.cumsum(held)])[both]
        told += first_crossing(looks, running.tolist()) is not None
    return told


def trial(leads: int, factor: float, batches: int, seed: int) -> dict[str, float | int]:
    """Shares of batches in which a difference was told, of those with enough data for it."""
    random, again = np.random.default_rng(seed), np.random.default_rng([seed, 1])
    ours = daily = single = covered = enough = often = 0
    spent, days = 0.0, []
    for _ in range(batches):
        send, holdout, a, b = simulate(random, leads, factor)
        looks = daily_looks(send, holdout, (a + b).tolist())
        if not looks or looks[-1].spent < LEAST_FALSE_ALARM:
            continue
        enough += 1
        crossing = first_crossing(looks, b.tolist())
        ours += crossing is not None
        if crossing is not None:
            days.append(crossing.day)
        spent += looks[-1].spent
        covered += covers(looks, send, holdout, b, factor)
        often += redrawn(again, looks, send, holdout, a + b) if factor == 1 else 0
        naive = naive_crosses(send, holdout, a, b)
        daily += bool(naive.any())
        single += bool(naive[-1])
    share, share_often = ours / enough, often / enough / REDRAWN
    return {
        "leads": leads,
        "factor": factor,
        "enough": round(enough / batches, 4),
        "told": round(share, 4),
        "error": round(math.sqrt(share * (1 - share) / enough), 4),
        "redrawn": round(share_often, 4),
        "redrawn_error": round(math.sqrt(share_often * (1 - share_often) / enough / REDRAWN), 4),
        "promised": round(spent / enough, 4),
        "median_day": int(np.median(days)) if days else 0,
        "covered": round(covered / enough, 4),
        "naive_daily": round(daily / enough, 4),
        "naive_once": round(single / enough, 4),
    }


def example() -> None:
    """Prints what `leadengine batch measure` would say of one batch on four of its days."""
    random = np.random.default_rng(7)
    start = datetime(2026, 3, 2, 15, tzinfo=UTC)
    rows = []
    for _ in range(3_000):
        arm = "holdout" if random.random() < HOLDOUT else "send"
        comes = random.random() < BASE * (1 if arm == "holdout" else 2)
        at = start + timedelta(days=60 * float(random.beta(1, 1.5))) if comes else None
        wins = comes and random.random() < 0.3
        rows.append(
            {
                "arm": arm, "is_sent": arm == "send", "is_delivered": arm == "send",
                "replied": bool(random.random() < (0.1 if arm == "send" else 0.03)),
                "opted_out": arm == "send" and bool(random.random() < 0.01),
                "kept_at": at, "won_at": at if wins else None,
                "won_value_cents": int(random.lognormal(13.6, 0.5)) if wins else 0,
                "touched_by": "person" if random.random() < 0.04 else None,
            }
        )  # fmt: skip
    batch = {"status": "done", "holdout_share": HOLDOUT, "started_at": start}
    for day in (7, 20, 40, 60):
        told = judge(uuid4(), batch, rows, start + timedelta(days=day))
        print(f"Day {day}\n", *(f"  {line}" for line in [told.verdict, *told.lines]), sep="\n")
        print()


def main() -> None:
    """Runs the trials and prints a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--small", action="store_true", help="100 batches instead of 1,000")
    parser.add_argument("--example", action="store_true", help="one batch, told day by day")
    arguments = parser.parse_args()
    if arguments.example:
        example()
        return
    batches = 100 if arguments.small else 1_000
    started = time.monotonic()
    print(f"{batches} batches a line, 10 % held out, 8 % of the holdout convert in 60 days\n")
    print(
        "leads   message   enough   told     +/-    redrawn  +/-    exact  day  interval holds "
        " naive daily  naive once"
    )
    rows = []
    for seed, (leads, factor) in enumerate(
        [(500, 1.0), (2_000, 1.0), (5_000, 1.0), (2_000, 1.5), (5_000, 1.5), (5_000, 2.0)]
    ):
        row = trial(leads, factor, batches, seed)
        rows.append(row)
        what = "A/A" if factor == 1 else f"x {factor}"
        exact, often, error = (
            f"{row[key]:.2%}" if factor == 1 else ""
            for key in ("promised", "redrawn", "redrawn_error")
        )
        print(
            f"{leads:<7,} {what:<9} {row['enough']:<8.1%} {row['told']:<8.1%} {row['error']:<6.1%}"
            f" {often:<8} {error:<6} {exact:<6} {row['median_day']:<4} {row['covered']:<15.1%}"
            f" {row['naive_daily']:<12.1%} {row['naive_once']:.1%}",
            flush=True,
        )
    seconds = round(time.monotonic() - started, 1)
    machine = f"{os.cpu_count()} cores, Python {platform.python_version()}"
    print(f"\n{seconds} s on {machine}")
    print(json.dumps({"batches": batches, "trials": rows, "seconds": seconds, "machine": machine}))


if __name__ == "__main__":
    main()
