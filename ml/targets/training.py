"""Training of the targets: a model, a base rate, or the plain answer that it cannot be told."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from leadengine.clock import SystemClock
from leadengine.errors import LeadEngineError
from leadengine.log import get_logger
from leadengine.progress import progress
from leadengine.settings import Settings
from ml import registry, tracking
from ml.evaluation import Metrics, evaluate, log_loss
from ml.fitting import FitOptions, fit
from ml.intervals import Precision, beta_interval
from ml.model import LeadModel
from ml.schema import Matrix
from ml.splits import Split, split_by_lead, split_by_time
from ml.survival import HORIZONS, PersonPeriods, conversion_times, person_periods
from ml.targets.data import TargetRows, read_target
from ml.targets.definitions import (
    BASE_RATE,
    LEAST_OUTCOMES,
    MODEL,
    NOT_ENOUGH,
    TARGETS,
    Target,
)
from ml.targets.results import TargetResult, store_results
from ml.targets.uplift import train_uplift
from warehouse.database import Database

if TYPE_CHECKING:
    from mlflow import MlflowClient

log = get_logger("ml.targets")

EXPERIMENT = "lead_targets"
_RESAMPLES = 100
# With fewer outcomes to judge by, all moments of the held-out leads are taken, early ones too.
_LEAST_JUDGED = 60
# A time is judged by whether it came within so many days.
_JUDGED_DAYS = 60


@dataclass(frozen=True)
class _Judged:
    """A model of the one part, and how it did on the other, beside the one part's share."""

    metrics: Metrics
    share_log_loss: float
    label: Matrix
    score: Matrix
    split: Split
    precision: dict[str, Precision]


def train_targets(
    database: Database, settings: Settings, *, seed: int = 7
) -> tuple[TargetResult, ...]:
    """Trains every target on what the warehouse knows, registers the models, stores the answers.

    The figures of a target are those of a model of other leads and earlier moments; the model that
    is registered is then trained in the same way on all rows.

    Raises:
        LeadEngineError: the warehouse is not built, or MLflow cannot be used.
    """
    client = tracking.configure(settings, database)
    results = []
    for target in TARGETS:
        with progress(f"Training {target.name}"):
            data = read_target(database, target.name)
            results.append(train_target(client, settings, target, data, seed=seed))
        log.info("%s: %s: %s", target.name, results[-1].status, results[-1].reason)
    with progress("Weighing what holdouts tell"):
        results.append(train_uplift(client, settings, database, seed=seed))
    log.info("uplift: %s: %s", results[-1].status, results[-1].reason)
    store_results(database, results, SystemClock().now())
    return tuple(results)


def train_target(
    client: "MlflowClient",
    settings: Settings,
    target: Target,
    data: TargetRows,
    *,
    seed: int = 7,
) -> TargetResult:
    """Trains, judges and registers one target; see :func:`train_targets`."""
    result = _counted(target, data)
    if result.status == NOT_ENOUGH:
        return result
    try:
        split = split_target(target, data)
        judged = _judge(target, data, split, seed)
    except LeadEngineError as error:
        # Enough outcomes in all, but not on both sides of any split.
        return _answered(result, NOT_ENOUGH, f"No split leaves enough outcomes to judge: {error}")
    if judged.metrics.log_loss >= judged.share_log_loss:
        return _answered(
            result,
            BASE_RATE,
            f"On {judged.metrics.rows} rows of leads not trained on, the model (log loss "
            f"{judged.metrics.log_loss:.4f}) tells no more than the share itself does "
            f"({judged.share_log_loss:.4f}).",
            figures=judged.metrics.to_dict() | {"split": split.describe()},
        )
    everything = np.ones(len(data.label), dtype=np.bool_)
    model = _fit(target, data, everything, seed)
    model = model.with_training(
        target=target.name,
        meaning=target.meaning,
        data_digest=data.digest,
        metrics=judged.metrics.to_dict(),
        judged=split.describe(),
        precision={name: p.to_dict() for name, p in judged.precision.items()},
        code_revision=registry.code_revision(),
    )
    evidence = registry.Evidence(
        judged.metrics, judged.label, judged.score, data.digest, split.describe()
    )
    registered = registry.register(
        client,
        settings,
        model,
        evidence,
        experiment=EXPERIMENT,
        registered_name=target.registered_name,
        run_name=f"{target.name} {data.digest[:8]}",
        examples=model.schema.encode(_features(target, data, everything).head(3)),
    )
    client.set_registered_model_alias(registered.name, "champion", registered.version)
    return _answered(
        result,
        MODEL,
        f"Trained on {result.outcomes} outcomes in {result.rows} rows.",
        model_name=registered.name,
        model_version=registered.version,
        figures=judged.metrics.to_dict() | {"split": split.describe()},
    )


def split_target(target: Target, data: TargetRows) -> Split:
    """Later rows of held-out leads judge; where the history is too short, held-out leads do.

    Raises:
        LeadEngineError: too few outcomes on one side.
    """
    try:
        split = split_by_time(
            data.as_of, data.label, data.leads, window=target.window, hold_out_leads=True
        )
    except LeadEngineError:
        return split_by_lead(data.label, data.leads)
    if data.label[split.test].sum() < _LEAST_JUDGED:
        return split_by_lead(data.label, data.leads)
    return split


def _counted(target: Target, data: TargetRows) -> TargetResult:
    """Rows and share, and whether they suffice."""
    rows, outcomes = len(data.label), int(data.label.sum())
    leads = len(np.unique(data.leads.astype(str))) if rows else 0
    rate = low = high = None
    if rows:
        rate = outcomes / rows
        # Several rows of a lead are not independent: as many count as there are leads.
        lows, highs = beta_interval(np.array([rate]), np.array([float(leads)]))
        low, high = float(lows[0]), float(highs[0])
    rarer = min(outcomes, rows - outcomes)
    enough = rarer >= LEAST_OUTCOMES
    reason = (
        f"{outcomes} outcomes in {rows} rows"
        if enough
        else f"{outcomes} outcomes in {rows} rows: at least {LEAST_OUTCOMES} of each are needed."
    )
    return TargetResult(
        target.name, MODEL if enough else NOT_ENOUGH, reason, rows, outcomes, leads, rate, low, high
    )


def _answered(result: TargetResult, status: str, reason: str, **more: Any) -> TargetResult:
    return TargetResult(
        **{**result.__dict__, "status": status, "reason": reason, **more},
    )


def _periods(data: TargetRows) -> PersonPeriods:
    return person_periods(data.event_days, data.observed_days)


def _features(target: Target, data: TargetRows, rows: "np.ndarray[Any, Any]") -> Any:
    if not target.survival:
        return data.frame[rows]
    periods = _periods(data)
    return periods.frame(data.frame)[rows[periods.row]]


def _fit(target: Target, data: TargetRows, rows: "np.ndarray[Any, Any]", seed: int) -> LeadModel:
    options = FitOptions(seed=seed)
    if not target.survival:
        return fit(data.frame[rows], data.label[rows], data.leads[rows], options)
    periods = _periods(data)
    kept = rows[periods.row]
    leads = data.leads[periods.row]
    return fit(periods.frame(data.frame)[kept], periods.label[kept], leads[kept], options)


def _judge(target: Target, data: TargetRows, split: Split, seed: int) -> _Judged:
    model = _fit(target, data, split.train, seed)
    frame, leads = data.frame[split.test], data.leads[split.test]
    if not target.survival:
        label, score = data.label[split.test], model.score(frame)
        precision = {target.name: Precision.measured(score, leads)}
    else:
        times = conversion_times(model, frame)
        event, observed = data.event_days[split.test], data.observed_days[split.test]
        precision = {}
        for horizon in HORIZONS:
            known = (event < horizon) | (observed >= horizon)
            if known.sum() >= LEAST_OUTCOMES:
                name = f"convert_{horizon}d"
                precision[name] = Precision.measured(times.within[horizon][known], leads[known])
        known = (event < _JUDGED_DAYS) | (observed >= _JUDGED_DAYS)
        label = (event[known] < _JUDGED_DAYS).astype(np.float64)
        score = times.within[_JUDGED_DAYS][known]
        leads = leads[known]
    metrics = evaluate(label, score, groups=leads, resamples=_RESAMPLES, seed=seed)
    share = _share_within(target, data, split)
    return _Judged(
        metrics, log_loss(label, np.full(len(label), share)), label, score, split, precision
    )


def _share_within(target: Target, data: TargetRows, split: Split) -> float:
    """The share of outcomes among training rows: what a model has to beat."""
    label = data.label[split.train]
    if target.survival:
        event, observed = data.event_days[split.train], data.observed_days[split.train]
        known = (event < _JUDGED_DAYS) | (observed >= _JUDGED_DAYS)
        label = (event[known] < _JUDGED_DAYS).astype(np.float64)
    return float(label.mean())
