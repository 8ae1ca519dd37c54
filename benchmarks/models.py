"""How well the conversion model predicts, on real leads, beside plain models in the same folds.

    python benchmarks/models.py                 repeated 5-fold, three repeats
    python benchmarks/models.py --repeats 1     one repeat
    python benchmarks/models.py --rows 1500     a part of the table, for a quick look
    python benchmarks/models.py --write         also into docs/model.md

Sections, each a function that returns rows for the table and a dictionary for the JSON line:

- leak guard: which columns of X Education the guard names, beside those known to be filled in
  after contact.
- X Education without those columns: ours (search, blend and calibration inside each training fold)
  beside scikit-learn's LogisticRegression and HistGradientBoosting and LightGBM with defaults, on
  the same encoded rows. Differences are paired by row, over all repeats; their 95 % intervals are
  bootstrapped by lead. Leads alike in every feature (twins) count as one there: they are not
  independent.
- training time: one `fit` on all rows, wall-clock.

Needs the table in ../shared/data (not part of the project). Prints a table and, last, one JSON
object.
"""

import argparse
import json
import os
import platform
import sys
import time
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
from ml.calibration import sigmoid  # noqa: E402
from ml.evaluation import Metrics, average_precision, brier, evaluate, paired_difference, roc_auc  # noqa: E402
from ml.fitting import FitOptions, fit  # noqa: E402
from ml.leaks import find_leaks  # noqa: E402
from ml.schema import Matrix, infer_schema  # noqa: E402
from ml.table import read_outcome, read_table  # noqa: E402

DATA = ROOT.parent / "shared" / "data" / "leads-x-education" / "leads.csv.gz"
TARGET = "Converted"
IDENTIFIERS = ("Prospect ID", "Lead Number")
# Filled in after contact, by the data set's own description.
LEAKY = (
    "Tags", "Lead Quality", "Last Notable Activity", "Last Activity", "Lead Profile",
    "Asymmetrique Activity Index", "Asymmetrique Profile Index", "Asymmetrique Activity Score",
    "Asymmetrique Profile Score",
)  # fmt: skip
OURS = "leadengine"
FIGURE_NAMES = {"roc_auc": "ROC AUC", "brier": "Brier", "average_precision": "average precision"}
FIGURES = ("roc_auc", "average_precision", "brier", "ece", "lift_at_10pct")


def guard_section(frame: pd.DataFrame, label: Matrix) -> dict[str, Any]:
    """What the leak guard names, and what it misses or accuses wrongly."""
    exclude = (TARGET, *IDENTIFIERS)
    leaks = find_leaks(frame, label, np.arange(len(label)), exclude=exclude)
    named = {leak.column: leak.sign for leak in leaks}
    return {
        "named": named,
        "missed": sorted(set(LEAKY) - named.keys()),
        "false_alarms": sorted(named.keys() - set(LEAKY)),
    }


def education_section(
    frame: pd.DataFrame, label: Matrix, repeats: int, console: Console
) -> dict[str, Any]:
    """Repeated 5-fold: figures of each model and the paired differences from the best plain one."""
    from sklearn.model_selection import StratifiedKFold

    exclude = (TARGET, *IDENTIFIERS, *LEAKY)
    features = frame.drop(columns=list(exclude))
    scores: dict[str, list[Matrix]] = {}
    for repeat in range(repeats):
        splitter = StratifiedKFold(5, shuffle=True, random_state=repeat)
        out: dict[str, Matrix] = {}
        for train, test in splitter.split(label, label):
            for name, score in _fold(features, label, train, test, repeat).items():
                out.setdefault(name, np.empty(len(label)))[test] = score
        for name, score in out.items():
            scores.setdefault(name, []).append(score)
        console.print(f"repeat {repeat + 1} of {repeats} done", style="dim")
    y = np.tile(label, repeats)
    twins = np.tile(pd.util.hash_pandas_object(features, index=False).to_numpy(), repeats)
    pooled = {name: np.concatenate(parts) for name, parts in scores.items()}
    figures = {
        name: evaluate(y, score, groups=twins, resamples=400) for name, score in pooled.items()
    }
    plain = [name for name in pooled if name != OURS]
    differences = {}
    for figure, compare, sign in (
        ("roc_auc", roc_auc, 1),
        ("brier", brier, -1),
        ("average_precision", average_precision, 1),
    ):
        best = max(plain, key=lambda n, f=figure, s=sign: s * getattr(figures[n], f))  # type: ignore[misc]
        # The mean over repeats of a repeat's figure, resampled by twins, row by row.
        value, interval = paired_difference(
            y, pooled[OURS], pooled[best], compare, groups=twins, resamples=400
        )
        differences[figure] = {"beside": best, "difference": value, "interval": interval}
    spread = {
        name: float(np.std([roc_auc(label, part) for part in parts]))
        for name, parts in scores.items()
    }
    return {
        "rows": len(label),
        "distinct": len(np.unique(twins)),
        "repeats": repeats,
        "models": {name: _figures(found) for name, found in figures.items()},
        "ahead_of_the_best_plain_model": differences,
        "roc_auc_spread_over_repeats": spread,
    }


def _fold(
    features: pd.DataFrame, label: Matrix, train: Any, test: Any, seed: int
) -> dict[str, Matrix]:
    """Scores of every model for the rows of one fold."""
    import lightgbm as lgb
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    inside, y = features.iloc[train].reset_index(drop=True), label[train]
    outside = features.iloc[test]
    schema = infer_schema(inside)
    matrix, judged = schema.encode(inside), schema.encode(outside)
    categorical = schema.categorical
    ours = fit(inside, y, np.arange(len(y)), FitOptions(seed=seed))
    linear = make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000))
    linear.fit(_one_hot(schema, matrix), y)
    hist = HistGradientBoostingClassifier(categorical_features=categorical, random_state=seed)
    hist.fit(matrix, y)
    boosting = lgb.LGBMClassifier(verbosity=-1, n_jobs=2, random_state=seed)
    boosting.fit(matrix, y, categorical_feature=categorical)
    return {
        OURS: ours.score(outside),
        "LogisticRegression": linear.predict_proba(_one_hot(schema, judged))[:, 1],
        "HistGradientBoosting": hist.predict_proba(judged)[:, 1],
        "LightGBM": sigmoid(np.asarray(boosting.predict(judged, raw_score=True))),
    }


def _one_hot(schema: Any, matrix: Matrix) -> Matrix:
    """Categories as columns of 0 and 1, missing numbers as 0."""
    columns = []
    for i, feature in enumerate(schema.features):
        if feature.kind == "categorical":
            columns += [(matrix[:, i] == code).astype(np.float64) for code in range(feature.codes)]
        else:
            columns.append(np.nan_to_num(matrix[:, i]))
    return np.column_stack(columns)


def timing_section(frame: pd.DataFrame, label: Matrix) -> dict[str, Any]:
    """One training on all rows."""
    features = frame.drop(columns=[TARGET, *IDENTIFIERS, *LEAKY])
    started = time.perf_counter()
    model = fit(features, label, np.arange(len(label)), FitOptions())
    seconds = time.perf_counter() - started
    weights = {n: c["weight"] for n, c in model.training["candidates"].items()}
    return {"seconds": round(seconds, 1), "weights": weights, "calibration": model.calibrator.kind}


def _figures(found: Metrics) -> dict[str, Any]:
    return {
        name: {"value": getattr(found, name), "interval": found.intervals[name]} for name in FIGURES
    }


def _print(console: Console, result: dict[str, Any]) -> None:
    education = result["x_education"]
    title = (
        f"X Education, {education['rows']} rows ({education['distinct']} distinct), "
        f"{education['repeats']} x 5-fold; 95 % intervals"
    )
    shown = Table("model", *FIGURES, title=title)
    for name, figures in education["models"].items():
        cells = [
            f"{f['value']:.4f} ({f['interval'][0]:.4f}-{f['interval'][1]:.4f})"
            for f in figures.values()
        ]
        shown.add_row(name, *cells)
    console.print(shown)
    for figure, found in education["ahead_of_the_best_plain_model"].items():
        low, high = found["interval"]
        console.print(
            f"{figure}: {found['difference']:+.4f} beside {found['beside']} "
            f"({low:+.4f} to {high:+.4f})"
        )
    guard = result["leak_guard"]
    console.print(
        f"leak guard: {len(guard['named'])} named, missed {guard['missed']}, "
        f"false alarms {guard['false_alarms']}"
    )
    console.print(f"training: {result['training']['seconds']} s")


def markdown(result: dict[str, Any]) -> str:
    """The figures as the documentation has them."""
    education, guard = result["x_education"], result["leak_guard"]

    def cell(name: str, found: dict[str, Any]) -> str:
        digits = 2 if name.startswith("lift") else 3
        low, high = found["interval"]
        return f"{found['value']:.{digits}f} ({low:.{digits}f} to {high:.{digits}f})"

    lines = table(
        ["model", "ROC AUC", "average precision", "Brier", "ECE", "lift, top tenth"],
        [
            [
                "this engine" if name == OURS else name,
                *(cell(figure, found) for figure, found in figures.items()),
            ]
            for name, figures in education["models"].items()
        ],
    )
    ahead = "; ".join(
        f"{figure} {found['difference']:+.4f} beside {found['beside']} "
        f"({found['interval'][0]:+.4f} to {found['interval'][1]:+.4f})"
        for figure, found in (
            (FIGURE_NAMES[name], found)
            for name, found in education["ahead_of_the_best_plain_model"].items()
        )
    )
    return (
        f"{lines}\n\n{education['rows']:,} leads, {education['distinct']:,} distinct, "
        f"{education['repeats']} x 5-fold. Paired differences from the best plain model: {ahead}.\n"
        f"One training on all rows takes {result['training']['seconds']} s on "
        f"{result['machine']['cpus']} cores. The leak guard named {len(guard['named'])} columns, "
        f"missed {len(guard['missed'])}, and gave {len(guard['false_alarms'])} false alarms."
    )


def main() -> None:
    """Runs every section."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--rows", type=int, default=0, help="first rows only; 0 is all")
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--write", action="store_true", help="write the figures into docs/model.md")
    arguments = parser.parse_args()
    if not arguments.data.exists():
        sys.exit(f"{arguments.data} is not here; give the table with --data.")
    console = Console(width=160)
    leads, label = read_outcome(read_table(arguments.data), TARGET)
    frame = leads.frame
    if arguments.rows:
        frame, label = frame.head(arguments.rows), label[: arguments.rows]
    result = {
        "leak_guard": guard_section(frame, label),
        "training": timing_section(frame, label),
        "x_education": education_section(frame, label, arguments.repeats, console),
        "machine": {"cpus": os.cpu_count(), "python": platform.python_version()},
    }
    _print(console, result)
    if arguments.write:
        write_block(DOCS / "model.md", "x-education", markdown(result))
    print(json.dumps(result))


if __name__ == "__main__":
    main()
