"""Plots that go with a model: does the probability hold, and what does ranking gain."""

from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from ml.evaluation import BINS
from ml.schema import Matrix


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
