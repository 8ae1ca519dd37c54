"""Plots that go with a model: does the probability hold, and what does ranking gain."""

from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from ml.evaluation import BINS
from ml.schema import Matrix

# More slices than this cannot be read.
_SLICES = 15


def calibration_plot(label: Matrix, score: Matrix, path: Path) -> Path:
    """Share of conversions against mean score, in bins of equally many rows."""
    parts = np.array_split(np.argsort(score, kind="stable"), min(BINS, len(score)))
    said = np.array([score[p].mean() for p in parts])
    came = np.array([label[p].mean() for p in parts])
    error = 1.96 * np.sqrt(came * (1 - came) / np.array([len(p) for p in parts]))
    figure, axes = _figure("Calibration on rows not trained on")
    top = min(1.0, 1.1 * float(max(said.max(), (came + error).max())))
    axes.plot([0, top], [0, top], color="0.6", linestyle="--", label="perfect")
    axes.errorbar(said, came, yerr=error, marker="o", capsize=3, label="tenths, 95 % interval")
    axes.set(xlabel="mean score", ylabel="share converted", xlim=(0, top), ylim=(0, top))
    axes.legend(loc="upper left")
    return _save(figure, path)


def gain_plot(label: Matrix, score: Matrix, path: Path) -> Path:
    """Share of all conversions reached against share of leads worked, best first."""
    hits = np.cumsum(label[np.argsort(-score, kind="stable")]) / label.sum()
    worked = np.arange(1, len(label) + 1) / len(label)
    figure, axes = _figure("Conversions reached by working the best leads first")
    axes.plot([0, 1], [0, 1], color="0.6", linestyle="--", label="random order")
    axes.plot(worked, hits, label="by score")
    axes.set(xlabel="share of leads worked", ylabel="share of conversions", xlim=(0, 1))
    axes.set_ylim(0, 1.01)
    axes.legend(loc="lower right")
    return _save(figure, path)


def precision_recall_plot(label: Matrix, score: Matrix, path: Path) -> Path:
    """Precision against recall, by steps, beside the base rate."""
    hits = np.cumsum(label[np.argsort(-score, kind="stable")])
    precision = hits / np.arange(1, len(label) + 1)
    figure, axes = _figure("Precision and recall on rows not trained on")
    base = float(label.mean())
    axes.axhline(base, color="0.6", linestyle="--", label=f"base rate {base:.1%}")
    axes.plot(hits / label.sum(), precision, label="by score")
    axes.set(xlabel="recall", ylabel="precision", xlim=(0, 1))
    axes.set_ylim(0, 1.01)
    axes.legend(loc="upper right")
    return _save(figure, path)


def slice_plot(
    label: Matrix, score: Matrix, slices: "np.ndarray[Any, Any]", name: str, path: Path
) -> Path:
    """Mean score and share of conversions per slice, the largest first, with 95 % intervals."""
    values, counts = np.unique(slices.astype(str), return_counts=True)
    shown = values[np.argsort(-counts, kind="stable")][:_SLICES]
    figure, axes = _figure(f"Calibration by {name}")
    for i, value in enumerate(shown):
        rows = slices.astype(str) == value
        came = float(label[rows].mean())
        error = 1.96 * np.sqrt(came * (1 - came) / rows.sum())
        axes.errorbar(came, i, xerr=error, marker="o", color="C0", capsize=3)
        axes.plot(float(score[rows].mean()), i, marker="x", color="C1")
    axes.plot([], [], marker="o", color="C0", label="share converted, 95 % interval")
    axes.plot([], [], marker="x", color="C1", linestyle="", label="mean score")
    axes.set_yticks(range(len(shown)), [value[:24] or "(none)" for value in shown])
    axes.invert_yaxis()
    axes.legend(loc="best")
    return _save(figure, path)


def _figure(title: str) -> tuple[Figure, Axes]:
    # Not pyplot: it keeps global state and is not safe in threads.
    figure = Figure(figsize=(5.5, 5), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    axes.set_title(title)
    axes.grid(alpha=0.3)
    return figure, axes


def _save(figure: Figure, path: Path) -> Path:
    figure.savefig(path, dpi=110)
    return path
