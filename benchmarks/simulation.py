"""Scores on the simulated brokerage, whose true probabilities are known, beside the truth's own.

    python benchmarks/simulation.py                    40,000 contacts; 200 small accounts
    python benchmarks/simulation.py --contacts 3000    small
    python benchmarks/simulation.py --write            also into docs/model.md

Two parts, both on simulated people:

- The warehouse is built by dbt from a generated brokerage; a model is trained as the project trains
  it, on the earlier part of other leads, and judged on later moments of leads held out. Beside each
  figure stands that of the true probabilities on the same rows: no model can do better, and their
  own calibration error is nothing but chance. Models of a part of the training leads, judged on
  the same rows, show what a smaller brokerage can expect, and a line through them (excess = a +
  b / contacts) what none of any size can: what the features do not tell of a lead.
- 200 small accounts: of many brokerages the open leads of one day, each account with a mix of its
  own of sources and of hidden engagement (one that buys lists has dormant leads, another hot ones),
  up to 150 of them. Each account's rate is
  estimated from what became of its leads; the truth is the mean true probability over all leads of
  such a mix. Intervals of 90 % should hold it nine times of ten, in the mean of ten draws of such
  accounts. Beside them: the textbook
  interval of a share.

Prints one table and, last, one JSON object.
"""

import argparse
import datetime as dt
import json
import os
import shutil
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from rich.console import Console
from rich.table import Table

# This checkout's packages, whatever is installed.
ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks.pages import DOCS, table, write_block  # noqa: E402

NOW = dt.datetime(2025, 9, 1, 12, tzinfo=dt.UTC)
LABEL_DAYS = 60
ACCOUNTS = 200
# Parts of the training leads that the learning curve is drawn through, the whole last.
SHARES = (0.125, 0.25, 0.5, 1.0)
# Of one set of accounts chance alone moves the coverage by 2 %.
DRAWS = 10
ACCOUNTS_OF_A_BROKERAGE = 10
# How far accounts' mixes differ: standard deviation of log weights of a source or a state.
TILT = 0.8


@dataclass(frozen=True)
class Line:
    """A figure, the truth's own on the same rows, and the aim."""

    name: str
    value: float
    truth: float | None
    aim: str


def scores(contacts: int, seed: int, home: Path) -> tuple[list[Line], dict[str, Any]]:
    """Builds, trains and judges on one brokerage."""
    os.environ["LEADENGINE_HOME"] = str(home)
    from leadengine.settings import load_settings
    from ml.evaluation import brier, ece, roc_auc
    from ml.fitting import FitOptions, fit
    from ml.splits import HELD_OUT_LEADS, held_out, split_by_time
    from ml.training import read_training_set
    from providers.sandbox.simulation import generate
    from tests.dbt_project.raw_fixture import create_raw_tables, load_brokerage
    from tests.dbt_project.running import run_dbt
    from warehouse.database import open_database
    from warehouse.migrate import upgrade

    database = open_database(load_settings(_env_file=None))
    upgrade(database)
    brokerage = generate(seed, contacts, NOW.date())
    with database.connect() as connection:
        create_raw_tables(connection)
        load_brokerage(connection, brokerage, NOW)
    built = run_dbt(
        database, home / "dbt", "run", "--select", "+lead_training_set", as_of=NOW.isoformat()
    )
    if not built.success:
        sys.exit(f"dbt could not build the training set: {built.messages}")
    data = read_training_set(database)
    with database.connect() as connection:
        ids = connection.execute(
            "select lead_id from marts.lead_training_set order by lead_id, as_of"
        ).fetchall()
    lead = np.array([one[0].split(":", 1)[1] for one in ids])
    if len(lead) != len(data.label):
        sys.exit("The training set was sampled: take fewer contacts.")
    split = split_by_time(
        data.as_of, data.label, data.leads,
        window=dt.timedelta(days=LABEL_DAYS), hold_out_leads=True,
    )  # fmt: skip
    rows = np.flatnonzero(split.test)
    truth = np.array(
        [
            brokerage.truth.propensities(data.as_of.iloc[i].to_pydatetime()).get(lead[i], np.nan)
            for i in rows
        ]
    )
    # A lead that the simulation counts as closed while the CRM did not know yet has no truth.
    rows, truth = rows[~np.isnan(truth)], truth[~np.isnan(truth)]
    label, judged = data.label[rows], data.frame.iloc[rows]
    curve = []
    for share in SHARES:
        # Whole leads, told by the same digest as those held out.
        part = held_out(data.leads, HELD_OUT_LEADS + share * (1 - HELD_OUT_LEADS))
        train = split.train & part
        begun = time.perf_counter()
        model = fit(data.frame[train], data.label[train], data.leads[train], FitOptions(seed=seed))
        seconds = time.perf_counter() - begun
        score = model.score(judged)
        curve.append(
            {
                "contacts": round(contacts * share),
                "rows_train": int(train.sum()),
                "expected_brier": _expected(score, truth),
                "ece": ece(label, score),
                "top_fifth": _top_fifth(label, score),
                "train_seconds": round(seconds, 1),
            }
        )
    lines = [
        Line("ECE, time split", ece(label, score), ece(label, truth), "<= 0.02"),
        Line(
            "Brier, relative to the truth's",
            brier(label, score) / brier(label, truth),
            1.0,
            "<= 1.03",
        ),
        Line("expected Brier, likewise", _expected(score, truth), 1.0, ""),
        Line(
            "conversions in the top fifth",
            _top_fifth(label, score),
            _top_fifth(label, truth),
            ">= 0.60 or the truth's",
        ),
        Line("ROC AUC", roc_auc(label, score), roc_auc(label, truth), ""),
    ]
    facts = {
        "contacts": contacts,
        "rows_train": curve[-1]["rows_train"],
        "rows_judged": len(rows),
        "outcomes_judged": int(label.sum()),
        "train_seconds": curve[-1]["train_seconds"],
        "learning_curve": curve,
        "expected_brier_without_end": limit_of(curve),
    }
    return lines, facts


def limit_of(curve: list[dict[str, Any]]) -> float:
    """The expected Brier of ever more contacts: ``a`` of ``a + b / contacts`` by least squares."""
    fewness = [1 / point["contacts"] for point in curve]
    return float(np.polyfit(fewness, [point["expected_brier"] for point in curve], 1)[1])


def _expected(score: "np.ndarray[Any, Any]", truth: "np.ndarray[Any, Any]") -> float:
    """Brier that the scores have on average over outcomes, relative to the truth's."""
    least = float((truth * (1 - truth)).mean())
    return 1.0 + float(((score - truth) ** 2).mean()) / least


def _top_fifth(label: "np.ndarray[Any, Any]", score: "np.ndarray[Any, Any]") -> float:
    best = np.argsort(-score, kind="stable")[: len(label) // 5]
    return float(label[best].sum() / label.sum())


def open_leads(seed: int, contacts: int, days_ago: int) -> pd.DataFrame:
    """The open leads of a brokerage at a moment: truth, outcome, source and hidden state."""
    from providers.sandbox.simulation import generate

    anchor = NOW.date()
    brokerage = generate(seed, contacts, anchor)
    as_of = dt.datetime.combine(anchor, dt.time(12), tzinfo=dt.UTC) - dt.timedelta(days=days_ago)
    truth, states = brokerage.truth.propensities(as_of), brokerage.truth.states(as_of)
    converted = brokerage.truth.conversions()
    until = as_of + dt.timedelta(days=LABEL_DAYS)
    first: dict[str, Any] = {}
    for record in brokerage.records:
        if record.kind == "contact" and record.payload is not None and record.id in truth:
            first.setdefault(record.id, record.payload)
    rows = [
        {
            "truth": p,
            "label": float(contact in converted and as_of < converted[contact] <= until),
            "source": first[contact]["source"],
            "state": states[contact].split("_")[0],
        }
        for contact, p in truth.items()
        if contact in first and first[contact].get("source")
    ]
    return pd.DataFrame(rows)


@dataclass(frozen=True)
class Draw:
    """200 accounts: true rates, leads, outcomes, and how well they were estimated."""

    true: "np.ndarray[Any, Any]"
    n: "np.ndarray[Any, Any]"
    k: "np.ndarray[Any, Any]"
    covered: float
    textbook: float
    error: float
    plain_error: float


def one_draw(
    brokerages: list[pd.DataFrame],
    everyone: pd.DataFrame,
    accounts: int,
    random: np.random.Generator,
) -> Draw:
    """Accounts of random mixes, each of a part of a brokerage that no other account has."""
    from ml.small import location_rates

    traits = ("source", "state")
    values = {trait: sorted(everyone[trait].unique()) for trait in traits}
    rates, leads, outcomes = [], [], []
    for i in range(accounts):
        own = brokerages[i // ACCOUNTS_OF_A_BROKERAGE]
        # Disjoint parts of a brokerage: no lead is in two accounts.
        own = own[np.arange(len(own)) % ACCOUNTS_OF_A_BROKERAGE == i % ACCOUNTS_OF_A_BROKERAGE]
        tilt = {
            trait: dict(zip(known, random.normal(0, TILT, len(known)), strict=True))
            for trait, known in values.items()
        }
        share = random.uniform(0.1, 1.0)
        own_mix, mix = (
            np.exp(sum(one[trait].map(tilt[trait]).to_numpy() for trait in traits))
            for one in (own, everyone)
        )
        taken = share / mix.mean()
        chosen = own[random.random(len(own)) < np.minimum(1.0, taken * own_mix)]
        chosen = chosen.sample(min(150, len(chosen)), random_state=random)
        weight = np.minimum(1.0, taken * mix)
        rates.append(float(np.average(everyone["truth"], weights=weight)))
        leads.append(float(len(chosen)))
        outcomes.append(float(chosen["label"].sum()))
    true, n, k = np.array(rates), np.array(leads), np.array(outcomes)
    found = location_rates(k, n)
    covered = (found.low <= true) & (true <= found.high)
    with np.errstate(invalid="ignore", divide="ignore"):
        plain = k / n
        error = 1.645 * np.sqrt(plain * (1 - plain) / n)
        textbook = np.nan_to_num(np.abs(plain - true) <= error, nan=0.0)
        squared = np.nanmean((plain - true) ** 2)
    return Draw(
        true, n, k, float(covered.mean()), float(textbook.mean()),
        float(((found.rate - true) ** 2).mean()), float(squared),
    )  # fmt: skip


def small_accounts(accounts: int, contacts: int, seed: int) -> tuple[list[Line], dict[str, Any]]:
    """How often the intervals of small accounts' rates hold the true ones."""
    random = np.random.default_rng(seed)
    brokerages = [
        open_leads(1000 + seed + i, contacts, 90)
        for i in range(-(-accounts // ACCOUNTS_OF_A_BROKERAGE))
    ]
    everyone = pd.concat(brokerages, ignore_index=True)
    draws = [one_draw(brokerages, everyone, accounts, random) for _ in range(DRAWS)]
    covered, textbook, error, plain_error = (
        np.array([getattr(one, name) for one in draws])
        for name in ("covered", "textbook", "error", "plain_error")
    )
    n, k, true = (np.concatenate([getattr(one, x) for one in draws]) for x in ("n", "k", "true"))
    lines = [
        Line("90 % intervals that hold the rate", float(covered.mean()), 0.90, "0.88 to 0.92"),
        Line("the same, textbook interval", float(textbook.mean()), 0.90, ""),
        Line(
            "error of rates, relative to plain shares",
            float(np.sqrt(error.mean() / plain_error.mean())),
            None,
            "< 1",
        ),
    ]
    facts = {
        "accounts": accounts,
        "draws": DRAWS,
        "coverage_of_the_draws": [float(covered.min()), float(covered.max())],
        "leads_median": float(np.median(n)),
        "outcomes_median": float(np.median(k)),
        "true_rates": [round(float(v), 3) for v in np.percentile(true, [5, 50, 95])],
        "chance_error_of_a_draw": round(float((0.09 / accounts) ** 0.5), 3),
    }
    return lines, facts


def markdown(lines: list[Line], facts: dict[str, Any]) -> str:
    """The figures as the documentation has them."""
    rows = [
        [
            line.name,
            f"{line.value:.4f}",
            "" if line.truth is None else f"{line.truth:.4f}",
            line.aim,
        ]
        for line in lines
    ]
    curve = [
        [
            f"{point['contacts']:,}",
            f"{point['rows_train']:,}",
            f"{point['expected_brier']:.4f}",
            f"{point['ece']:.4f}",
            f"{point['top_fifth']:.4f}",
        ]
        for point in facts["learning_curve"]
    ]
    headings = ["contacts", "moments", "expected Brier", "ECE", "conversions in the top fifth"]
    return (
        f"{table(['figure', 'model', 'truth', 'aim'], rows)}\n\n{facts['contacts']:,} contacts: "
        f"trained on {facts['rows_train']:,} moments, judged on {facts['rows_judged']:,} with "
        f"{facts['outcomes_judged']:,} conversions. {facts['accounts']} small accounts of "
        f"{facts['leads_median']:.0f} leads and {facts['outcomes_median']:.0f} conversions in the "
        f"median, drawn {facts['draws']} times. In single draws "
        f"{facts['coverage_of_the_draws'][0]:.3f} to {facts['coverage_of_the_draws'][1]:.3f} of "
        f"the intervals hold; chance alone moves a draw by {facts['chance_error_of_a_draw']:.3f}."
        "\n\nModels of a part of the same training leads, judged on the same rows, as of a "
        f"brokerage of so many contacts:\n\n{table(headings, curve)}\n\nA line through them, "
        f"a + b / contacts, ends at {facts['expected_brier_without_end']:.4f}: what lies above 1 "
        "is not told by the features, however many leads there are."
    )


def main() -> None:
    """Runs both parts and prints."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--contacts", type=int, default=40_000)
    parser.add_argument("--accounts", type=int, default=ACCOUNTS)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--only", choices=["scores", "accounts"])
    parser.add_argument("--write", action="store_true", help="write the figures into docs/model.md")
    arguments = parser.parse_args()
    if arguments.write and arguments.only:
        parser.error("--write takes both parts")
    started = time.perf_counter()
    lines: list[Line] = []
    facts: dict[str, Any] = {}
    if arguments.only != "accounts":
        home = Path(tempfile.mkdtemp(prefix="simulation-"))
        try:
            more, told = scores(arguments.contacts, arguments.seed, home)
        finally:
            from warehouse.database import release_embedded

            release_embedded()
            shutil.rmtree(home, ignore_errors=True)
        lines, facts = lines + more, facts | told
    if arguments.only != "scores":
        size = min(arguments.contacts, 5_000)
        more, told = small_accounts(arguments.accounts, size, arguments.seed)
        lines, facts = lines + more, facts | told
    lines_table = Table(title="Simulated brokerage")
    for heading in ("figure", "model", "truth", "aim"):
        lines_table.add_column(heading, justify="left" if heading in ("figure", "aim") else "right")
    for line in lines:
        shown = "" if line.truth is None else f"{line.truth:.4f}"
        lines_table.add_row(line.name, f"{line.value:.4f}", shown, line.aim)
    Console().print(lines_table)
    if arguments.write:
        write_block(DOCS / "model.md", "simulation", markdown(lines, facts))
    print(
        json.dumps(
            {
                "figures": {line.name: round(line.value, 5) for line in lines},
                "truth": {
                    line.name: round(line.truth, 5) for line in lines if line.truth is not None
                },
                **facts,
                "seconds": round(time.perf_counter() - started, 1),
                "cores": os.cpu_count(),
            }
        )
    )


if __name__ == "__main__":
    main()
