"""Whom does an email help? Learners of effects on a randomised experiment, on held-out rows.

    python benchmarks/uplift.py               64,000 customers of Hillstrom's email experiment
    python benchmarks/uplift.py --rows 8000   a sample of them
    python benchmarks/uplift.py --write       also into docs/predictions.md

The experiment drew who got an email. Half of the rows train, the other half judge. The policy is
what the project does with holdouts: learners are compared by Qini on the training half and the best
is kept. Beside it, on the same rows: each learner, a response model (who visits when mailed) and a
random order. Qini: visits gained per 1,000 customers over a random policy, as a mean over how many
get the email, with 90 % bootstrap intervals.

The data are real, public and not part of the project: the benchmark says so and ends where they
are absent. Prints one table and, last, one JSON object.
"""

import argparse
import json
import os
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
from rich.console import Console
from rich.table import Table

# This checkout's packages, whatever is installed.
ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks.pages import DOCS, write_block  # noqa: E402
from benchmarks.pages import table as markdown_table  # noqa: E402
from ml.schema import infer_schema  # noqa: E402
from ml.uplift.evidence import AVERAGE, Inputs, broken_ties, learn_uplift  # noqa: E402
from ml.uplift.learners import LEARNERS, response_model  # noqa: E402
from ml.uplift.qini import Estimate, average_effect, qini, qini_differences  # noqa: E402

DATA = ROOT.parent / "shared" / "data" / "email-experiment-hillstrom" / "hillstrom.csv.gz"
FEATURES = [
    "recency", "history_segment", "history", "mens", "womens", "zip_code", "newbie", "channel",
]  # fmt: skip
PER = 1000


def main() -> None:
    """Trains, judges and prints."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=None, help="a sample of so many customers")
    parser.add_argument("--outcome", default="visit", choices=["visit", "conversion"])
    parser.add_argument("--resamples", type=int, default=300)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--write", action="store_true", help="write into docs/predictions.md")
    arguments = parser.parse_args()
    if not arguments.data.is_file():
        sys.exit(f"{arguments.data} is not here; give the experiment's table with --data.")
    data = pd.read_csv(arguments.data)
    if arguments.rows:
        data = data.sample(arguments.rows, random_state=arguments.seed).reset_index(drop=True)
    started = time.perf_counter()
    treated = (data["segment"] != "No E-Mail").to_numpy(dtype=np.float64)
    outcome = data[arguments.outcome].to_numpy(dtype=np.float64)
    frame = data[FEATURES]
    trains = np.random.default_rng(arguments.seed).random(len(data)) < 0.5
    judges = ~trains

    schema = infer_schema(frame[trains])
    evidence, model = learn_uplift(
        frame[trains], treated[trains], outcome[trains], schema=schema, seed=arguments.seed
    )
    both = Inputs.of(schema, frame)
    rankings = {}
    seconds = {}
    for name, learner in {**LEARNERS, "response model": response_model}.items():
        begun = time.perf_counter()
        effect = learner(both.linear[trains], treated[trains], outcome[trains], arguments.seed)
        rankings[name] = broken_ties(effect(both.linear[judges]), arguments.seed)
        seconds[name] = time.perf_counter() - begun
    rankings["random"] = np.random.default_rng(arguments.seed).random(int(judges.sum()))
    if model is None:
        policy = f"policy: {evidence.verdict}"
        # Of an average effect each gets a share in proportion to the score; of none, nothing.
        plain = "proportional" if evidence.verdict == AVERAGE else "random"
        rankings[policy] = rankings[plain]
    else:
        policy = f"policy ({evidence.chosen})"
        rankings[policy] = broken_ties(model.effects(frame[judges])[0], arguments.seed)

    held = treated[judges], outcome[judges]
    options = {"resamples": arguments.resamples, "seed": arguments.seed}
    found = {name: qini(ranking, *held, **options) for name, ranking in rankings.items()}
    others = {name: rankings[name] for name in ("random", "response model")}
    ahead = qini_differences(rankings[policy], others, *held, **options)
    effect = average_effect(*held)
    total = time.perf_counter() - started

    table = Table(title=f"Email experiment, {int(judges.sum()):,} held-out customers")
    for heading in ("ranking", f"Qini per {PER:,}", "90 % interval", "seconds"):
        table.add_column(heading, justify="left" if heading == "ranking" else "right")
    for name, one in sorted(found.items(), key=lambda item: -item[1].value):
        spent = f"{seconds[name]:.1f}" if name in seconds else ""
        table.add_row(name, f"{PER * one.value:.2f}", shown(one), spent)
    for name, one in ahead.items():
        table.add_row(f"policy less {name}", f"{PER * one.value:+.2f}", shown(one), "")
    console = Console()
    console.print(table)
    if arguments.write:
        write_block(
            DOCS / "predictions.md",
            "uplift",
            markdown_table(
                ["ranking", f"Qini per {PER:,}", "90 % interval"],
                [
                    *(
                        [name, f"{PER * one.value:.2f}", shown(one)]
                        for name, one in sorted(found.items(), key=lambda item: -item[1].value)
                    ),
                    *(
                        [f"policy less {name}", f"{PER * one.value:+.2f}", shown(one)]
                        for name, one in ahead.items()
                    ),
                ],
            )
            + f"\n\n{int(judges.sum()):,} held-out customers of a public email experiment, outcome "
            f"`{arguments.outcome}`; an email changes it by {PER * effect.value:.1f} of {PER:,} "
            f"({shown(effect)}). Verdict on the training half: {evidence.verdict}.",
        )
    console.print(f"Average effect of an email: {PER * effect.value:.1f} ({shown(effect)}).")
    console.print(f"Verdict on the training half: {evidence.verdict}. {evidence.reason}")
    print(
        json.dumps(
            {
                "rows": len(data),
                "outcome": arguments.outcome,
                "verdict": evidence.verdict,
                "chosen": evidence.chosen,
                "qini_per_1000": {name: figures(one) for name, one in found.items()},
                "policy_less": {name: figures(one) for name, one in ahead.items()},
                "average_effect_per_1000": figures(effect),
                "seconds": round(total, 1),
                "cores": os.cpu_count(),
            }
        )
    )


def shown(one: Estimate) -> str:
    """An interval in words."""
    return f"{PER * one.low:.2f} to {PER * one.high:.2f}"


def figures(one: Estimate) -> list[float]:
    """Value, low, high."""
    return [round(PER * v, 3) for v in (one.value, one.low, one.high)]


if __name__ == "__main__":
    main()
