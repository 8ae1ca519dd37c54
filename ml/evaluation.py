"""How good scores are, with intervals: for training, gates, tests and benchmarks alike."""

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from leadengine.errors import LeadEngineError
from ml.schema import Matrix

BINS = 10


@dataclass(frozen=True)
class Metrics:
    """Figures on rows that the model was not trained on.

    Attributes:
        roc_auc: share of (converted, not converted) pairs in the right order.
        average_precision: area under the precision-recall curve, by steps.
        brier: mean squared error of the probability.
        log_loss: mean negative log-likelihood.
        ece: expected calibration error over ten bins of equally many rows.
        lift_at_10pct: conversions in the top tenth, relative to the base rate.
        rows: rows judged.
        base_rate: their share of conversions.
        intervals: 95 % bootstrap interval per figure, resampled by lead.
    """

    roc_auc: float
    average_precision: float
    brier: float
    log_loss: float
    ece: float
    lift_at_10pct: float
    rows: int
    base_rate: float
    intervals: dict[str, tuple[float, float]] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """As JSON holds it."""
        return asdict(self)


def roc_auc(label: Matrix, score: Matrix) -> float:
    """Area under the ROC curve; ties count half."""
    _, place, counts = np.unique(score, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2.0)[place]
    positives = float(label.sum())
    negatives = len(label) - positives
    return float(
        (ranks[label > 0.5].sum() - positives * (positives + 1) / 2) / (positives * negatives)
    )


def average_precision(label: Matrix, score: Matrix) -> float:
    """Precision averaged over the steps in recall; equal scores are one step."""
    order = np.argsort(-score, kind="stable")
    hits = np.cumsum(label[order])
    last_of_tie = np.append(np.flatnonzero(np.diff(score[order])), len(score) - 1)
    hits = hits[last_of_tie]
    precision = hits / (last_of_tie + 1)
    return float(np.sum(np.diff(np.append(0.0, hits)) * precision) / label.sum())


def brier(label: Matrix, score: Matrix) -> float:
    """Mean squared error of the probability."""
    return float(np.mean((score - label) ** 2))


def log_loss(label: Matrix, score: Matrix) -> float:
    """Mean negative log-likelihood."""
    p = np.clip(score, 1e-9, 1 - 1e-9)
    return float(-np.mean(label * np.log(p) + (1 - label) * np.log1p(-p)))


def ece(label: Matrix, score: Matrix, bins: int = BINS) -> float:
    """Expected calibration error: mean over bins of |mean score - share of conversions|.

    The bins hold equally many rows, so that the crowded low scores of rare outcomes count.
    """
    order = np.argsort(score, kind="stable")
    parts = np.array_split(order, min(bins, len(order)))
    return float(
        sum(abs(float(score[p].mean() - label[p].mean())) * len(p) for p in parts) / len(order)
    )


def lift_at(label: Matrix, score: Matrix, share: float = 0.1) -> float:
    """Conversion rate in the top ``share`` relative to all; a tie at the cut counts in part."""
    wanted = max(1.0, share * len(score))
    cut = np.sort(score)[::-1][int(np.ceil(wanted)) - 1]
    above, tied = score > cut, score == cut
    part = (wanted - above.sum()) / tied.sum()
    hits = label[above].sum() + part * label[tied].sum()
    return float(hits / wanted / label.mean())


_FIGURES: dict[str, Callable[[Matrix, Matrix], float]] = {
    "roc_auc": roc_auc,
    "average_precision": average_precision,
    "brier": brier,
    "log_loss": log_loss,
    "ece": ece,
    "lift_at_10pct": lift_at,
}


def evaluate(
    label: Matrix,
    score: Matrix,
    *,
    groups: "np.ndarray[Any, Any] | None" = None,
    resamples: int = 200,
    seed: int = 7,
) -> Metrics:
    """All figures, with bootstrap intervals.

    Args:
        label: 0 or 1 per row.
        score: probability per row.
        groups: the lead per row; whole leads are resampled where a lead has several rows.
        resamples: bootstrap resamples; 0 leaves the intervals out.
        seed: of the bootstrap.

    Raises:
        LeadEngineError: the rows hold one outcome only, so that no figure of ranking exists.
    """
    if len(label) == 0 or label.min() == label.max():
        raise LeadEngineError(
            f"The {len(label)} rows kept for judging the model hold one outcome only.",
            remedy="Train on a table with more conversions.",
        )
    values = {name: figure(label, score) for name, figure in _FIGURES.items()}
    samples: dict[str, list[float]] = {name: [] for name in _FIGURES}
    for rows in bootstrap_rows(len(label), groups, resamples, seed):
        y, s = label[rows], score[rows]
        if y.min() == y.max():
            continue
        for name, figure in _FIGURES.items():
            samples[name].append(figure(y, s))
    intervals = {name: _interval(drawn) for name, drawn in samples.items() if len(drawn) >= 20}
    if "ece" in intervals:
        # Noise only ever adds to this figure, and resampling adds it once more: the deviations
        # from the resamples' mean are therefore laid around the estimate.
        low, high = intervals["ece"]
        middle = float(np.mean(samples["ece"]))
        estimate = values["ece"]
        intervals["ece"] = (max(0.0, estimate + low - middle), estimate + high - middle)
    return Metrics(**values, rows=len(label), base_rate=float(label.mean()), intervals=intervals)


def bootstrap_rows(
    rows: int, groups: "np.ndarray[Any, Any] | None", resamples: int, seed: int
) -> "list[np.ndarray[Any, np.dtype[np.int64]]]":
    """Row numbers per resample, drawn with replacement by group."""
    random = np.random.default_rng(seed)
    if groups is None:
        return [random.integers(0, rows, rows) for _ in range(resamples)]
    _, place = np.unique(groups, return_inverse=True)
    order = np.argsort(place, kind="stable")
    starts = np.searchsorted(place[order], np.arange(place.max() + 1))
    members = np.split(order, starts[1:])
    if len(members) == rows:
        return [random.integers(0, rows, rows) for _ in range(resamples)]
    drawn = (random.integers(0, len(members), len(members)) for _ in range(resamples))
    return [np.concatenate([members[g] for g in choice]) for choice in drawn]


def paired_difference(
    label: Matrix,
    score: Matrix,
    other: Matrix,
    figure: Callable[[Matrix, Matrix], float],
    *,
    groups: "np.ndarray[Any, Any] | None" = None,
    resamples: int = 200,
    seed: int = 7,
) -> tuple[float, tuple[float, float]]:
    """``figure`` of ``score`` less that of ``other`` on the same rows, with a 95 % interval."""
    drawn = [
        figure(label[rows], score[rows]) - figure(label[rows], other[rows])
        for rows in bootstrap_rows(len(label), groups, resamples, seed)
        if label[rows].min() != label[rows].max()
    ]
    return figure(label, score) - figure(label, other), _interval(drawn or [0.0])


@dataclass(frozen=True)
class TruthComparison:
    """Scores beside the true probabilities, which only a simulation can tell.

    Attributes:
        rows: leads compared.
        brier_ratio: Brier of the scores over that of the true probabilities (1 is perfect);
            None without labels.
        mean_absolute_error: mean |score - truth|.
        rank_correlation: Spearman's.
        ece: expected calibration error against the truth instead of against outcomes.
        mean_score, mean_truth: the two means.
    """

    rows: int
    brier_ratio: float | None
    mean_absolute_error: float
    rank_correlation: float
    ece: float
    mean_score: float
    mean_truth: float


def compare_with_truth(
    score: Matrix, truth: Matrix, label: Matrix | None = None
) -> TruthComparison:
    """Holds scores to true probabilities, row by row."""
    ranks = [np.argsort(np.argsort(v, kind="stable"), kind="stable") for v in (score, truth)]
    return TruthComparison(
        rows=len(score),
        brier_ratio=None if label is None else brier(label, score) / brier(label, truth),
        mean_absolute_error=float(np.mean(np.abs(score - truth))),
        rank_correlation=float(np.corrcoef(ranks[0], ranks[1])[0, 1]),
        ece=ece(truth, score),
        mean_score=float(score.mean()),
        mean_truth=float(truth.mean()),
    )


def _interval(drawn: list[float]) -> tuple[float, float]:
    low, high = np.percentile(drawn, [2.5, 97.5])
    return float(low), float(high)
