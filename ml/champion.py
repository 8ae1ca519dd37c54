"""The warehouse's model: trained on ``marts.lead_training_set``, judged, registered, promoted."""

import hashlib
import threading
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from psycopg import errors, sql

from leadengine.errors import LeadEngineError
from leadengine.log import get_logger
from leadengine.progress import progress
from leadengine.settings import Settings
from ml import registry, tracking
from ml.drift import fit_bins
from ml.evaluation import average_precision, brier, evaluate, paired_difference
from ml.fitting import FitOptions, check_outcomes, fit
from ml.model import LeadModel
from ml.schema import Matrix
from ml.splits import Split, held_out, split_by_lead, split_by_time
from ml.warehouse_io import KEYS, feature_names, read_frame
from warehouse.database import Database

if TYPE_CHECKING:
    from mlflow import MlflowClient

log = get_logger("ml.champion")

TABLE = "marts.lead_training_set"
CHAMPION = "champion"
CHALLENGER = "challenger"
# Past this the figures hardly move, and training would not fit its minute.
MAX_ROWS = 200_000
# How much worse, relative to the champion, a challenger may seem while chance explains it.
_TOLERANCE = 0.05


@dataclass(frozen=True)
class TrainingResult:
    """What came of training on the warehouse.

    Attributes:
        model_version: version of ``lead_conversion`` in the registry.
        alias: ``champion`` or ``challenger``.
        decision: why, in a sentence.
        metrics: figures on rows that the judged model was not trained on.
        intervals: their 95 % intervals.
        run_id: MLflow's run.
        rows: training rows read.
        split: how judging rows were told apart.
        calibration_plot, gain_plot: PNG files.
    """

    model_version: str
    alias: str
    decision: str
    metrics: dict[str, float]
    intervals: dict[str, tuple[float, float]]
    run_id: str
    rows: int
    split: dict[str, Any]
    calibration_plot: Path
    gain_plot: Path


@dataclass(frozen=True)
class Champion:
    """A model of the registry with its version."""

    model: LeadModel = field(repr=False)
    name: str
    version: str


@dataclass(frozen=True)
class TrainingSet:
    """Rows of ``marts.lead_training_set``.

    Attributes:
        frame: the features.
        label: 1 where the lead converted.
        leads: who a row is of, as far as splits go: leads of one person are one.
        as_of: the rows' moments, UTC.
        digest: of all that was read.
    """

    frame: pd.DataFrame
    label: Matrix
    leads: "np.ndarray[Any, Any]"
    as_of: "pd.Series[Any]"
    digest: str


_loaded: dict[tuple[str, str], Champion] = {}
_current: dict[str, tuple[float, Champion]] = {}
_lock = threading.Lock()


def train_from_warehouse(
    database: Database, settings: Settings, *, seed: int = 7
) -> TrainingResult:
    """Trains, judges, registers, and promotes if the gate lets it.

    The figures are those of a model that was trained on other leads and on earlier rows, whose
    label windows had ended before the judging period began. The registered model is trained in
    the same way on all rows of those other leads. Held-out leads are the same in every training,
    so that champion and challenger are compared on rows that neither has seen.

    Raises:
        LeadEngineError: no training set, too few outcomes, or MLflow cannot be used.
    """
    with progress("Reading the training set"):
        data = read_training_set(database)
    check_outcomes(data.label)
    client = tracking.configure(settings, database)
    split = _split(data, settings)
    options = FitOptions(seed=seed)
    with progress("Training and judging on held-out rows"):
        train = split.train
        judged = fit(data.frame[train], data.label[train], data.leads[train], options)
        test = data.frame[split.test]
        label, leads = data.label[split.test], data.leads[split.test]
        score = judged.score(test)
        metrics = evaluate(label, score, groups=leads, seed=seed)
    with progress("Training the model to register"):
        rows = ~held_out(data.leads)
        model = fit(data.frame[rows], data.label[rows], data.leads[rows], options)
    model = model.with_training(
        source=TABLE,
        data_digest=data.digest,
        metrics=metrics.to_dict(),
        judged={"rows": judged.training["rows"], **split.describe()},
        code_revision=registry.code_revision(),
        bins=_bins(model, data.frame[rows]),
    )
    evidence = registry.Evidence(metrics, label, score, data.digest, split.describe())
    champion = load_champion(settings, database) if _version(client, CHAMPION) else None
    alias, decision = _gate(model, champion, test, label, leads)
    with progress("Registering the model"):
        registered = registry.register(
            client,
            settings,
            model,
            evidence,
            experiment=tracking.EXPERIMENT,
            registered_name=tracking.REGISTERED_MODEL,
            run_name=f"warehouse {data.digest[:8]}",
            examples=model.schema.encode(data.frame.head(3)),
        )
        _promote(client, registered, alias, decision)
    folder = settings.home / "reports" / f"{registered.name}-{registered.version}"
    calibration, gain = evidence.write_plots(folder)
    log.info("version %s is %s: %s", registered.version, alias, decision)
    figures = {k: float(v) for k, v in metrics.to_dict().items() if k != "intervals"}
    return TrainingResult(
        model_version=registered.version,
        alias=alias,
        decision=decision,
        metrics=figures,
        intervals=metrics.intervals,
        run_id=registered.run_id,
        rows=len(data.label),
        split=split.describe(),
        calibration_plot=calibration,
        gain_plot=gain,
    )


def read_training_set(database: Database) -> TrainingSet:
    """Reads ``marts.lead_training_set``: whole leads, at most about ``MAX_ROWS`` rows.

    Raises:
        LeadEngineError: the table is not there, is empty, or lacks a column.
    """
    relation = sql.Identifier(*TABLE.split("."))
    with database.connect() as connection:
        try:
            found = connection.execute(
                sql.SQL("select count(*) from {}").format(relation)
            ).fetchone()
        except errors.UndefinedTable as error:
            raise _no_training_set("is not there") from error
        count = int(found[0]) if found else 0
        if not count:
            raise _no_training_set("is empty")
        keep = min(1.0, MAX_ROWS / count)
        # By a digest of the person: whole people, the same ones each time.
        query = sql.SQL(
            "select * from {} where mod(abs(hashtextextended(split_group, 0)), 1000000) < {} "
            "order by lead_id, as_of"
        ).format(relation, sql.Literal(int(keep * 1_000_000)))
        frame = read_frame(connection, query)
    missing = {*KEYS, "split_group", "label"} - set(frame.columns)
    if missing:
        raise LeadEngineError(
            f"{TABLE} lacks {', '.join(sorted(missing))}.", remedy="Build the dbt project again."
        )
    rows = pd.util.hash_pandas_object(frame, index=False).to_numpy()
    names = ",".join(map(str, frame.columns)).encode()
    return TrainingSet(
        frame=frame[feature_names(list(frame.columns), "split_group", "label")],
        label=frame["label"].to_numpy(dtype=np.float64),
        leads=frame["split_group"].to_numpy(dtype=object),
        as_of=frame["as_of"],
        digest=hashlib.sha256(names + rows.tobytes()).hexdigest(),
    )


def has_champion(settings: Settings, database: Database) -> bool:
    """Whether ``lead_conversion`` has a champion.

    Raises:
        LeadEngineError: MLflow cannot be used.
    """
    if settings.mlflow_tracking_uri is None and not _has_mlflow_tables(database):
        # A new database is told by a look, without MLflow's three seconds of import.
        return False
    return _version(tracking.configure(settings, database), CHAMPION) is not None


def load_champion(
    settings: Settings, database: Database, *, max_age_seconds: float = 0.0
) -> Champion:
    """The champion in native form; fetched once per version and process.

    Args:
        settings: where MLflow is.
        database: the warehouse.
        max_age_seconds: for how long an earlier answer to which version is champion may stand in
            for a question to MLflow.

    Raises:
        LeadEngineError: there is none, or MLflow cannot be used.
    """
    uri = tracking.tracking_uri(settings, database)
    known = _current.get(uri)
    if known is not None and monotonic() - known[0] < max_age_seconds:
        return known[1]
    client = tracking.configure(settings, database)
    version = _version(client, CHAMPION)
    if version is None:
        raise LeadEngineError(
            f"There is no champion of {tracking.REGISTERED_MODEL}.",
            remedy="Train one: run `leadengine run` or the Dagster job `train`.",
        )
    champion = load_version(settings, database, version)
    with _lock:
        _current[uri] = (monotonic(), champion)
    return champion


def load_version(settings: Settings, database: Database, version: str) -> Champion:
    """A version of ``lead_conversion`` in native form; fetched once per process.

    Raises:
        LeadEngineError: there is no such version, or MLflow cannot be used.
    """
    uri = tracking.tracking_uri(settings, database)
    with _lock:
        if (uri, version) not in _loaded:
            name = tracking.REGISTERED_MODEL
            model = registry.load_model(f"models:/{name}/{version}", settings, database)
            _loaded[uri, version] = Champion(model, name, version)
        return _loaded[uri, version]


def _bins(model: LeadModel, frame: pd.DataFrame) -> list[dict[str, Any]]:
    """What drift is counted in from now on."""
    matrix = model.schema.encode(frame)
    return fit_bins(model, matrix, model.predict(matrix))


def _split(data: TrainingSet, settings: Settings) -> Split:
    window = timedelta(days=settings.label_days)
    try:
        return split_by_time(data.as_of, data.label, data.leads, window=window, hold_out_leads=True)
    except LeadEngineError:
        log.info("the history is too short for a split by time; judging by held-out leads")
        return split_by_lead(data.label, data.leads)


def _gate(
    model: LeadModel,
    champion: Champion | None,
    test: pd.DataFrame,
    label: Matrix,
    leads: "np.ndarray[Any, Any]",
) -> tuple[str, str]:
    """The alias that a new model deserves, and why."""
    if champion is None:
        return CHAMPION, "There was no champion."
    gone = [name for name in champion.model.schema.names if name not in test.columns]
    if gone:
        return CHAMPION, (
            f"Version {champion.version} needs {', '.join(gone[:3])}, which the features lack now."
        )
    new, old = model.score(test), champion.model.score(test)
    worse = []
    for name, figure, sign in (("Brier", brier, 1), ("average precision", average_precision, -1)):
        difference, (low, high) = paired_difference(label, new, old, figure, groups=leads)
        surely = low > 0 if sign > 0 else high < 0
        far = sign * difference > _TOLERANCE * abs(figure(label, old))
        if surely or far:
            worse.append(f"{name} by {abs(difference):.4f} (95 % interval {low:.4f} to {high:.4f})")
    versus = f"version {champion.version} on the same {len(label)} held-out rows"
    if worse:
        return CHALLENGER, f"Refused: worse than {versus} in {' and '.join(worse)}."
    return CHAMPION, f"Not worse than {versus} in Brier or average precision."


def _promote(
    client: "MlflowClient", registered: registry.Registered, alias: str, decision: str
) -> None:
    client.set_model_version_tag(registered.name, registered.version, "decision", decision)
    client.set_registered_model_alias(registered.name, alias, registered.version)


def _version(client: "MlflowClient", alias: str) -> str | None:
    from mlflow.exceptions import MlflowException

    try:
        found = client.get_model_version_by_alias(tracking.REGISTERED_MODEL, alias)
    except MlflowException as error:
        if error.error_code in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
            return None
        raise
    return str(found.version)


def _has_mlflow_tables(database: Database) -> bool:
    with database.connect() as connection:
        row = connection.execute(
            "select to_regclass(%s) is not null", [f"{tracking.SCHEMA}.registered_model_aliases"]
        ).fetchone()
    return bool(row and row[0])


def _no_training_set(what: str) -> LeadEngineError:
    return LeadEngineError(
        f"{TABLE} {what}.",
        remedy="Load leads and build the dbt project first: `leadengine run` does both.",
    )
