"""The warehouse's model: trained on ``marts.lead_training_set``, judged, registered, promoted."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from psycopg import errors, sql

from leadengine.errors import LeadEngineError
from leadengine.log import get_logger
from leadengine.progress import progress
from leadengine.settings import Settings
from ml import gates, history, registry, tracking
from ml.champion import (
    Champion,
    alias_version,
    has_champion,
    load_champion,
    no_champion,
)
from ml.drift import fit_bins
from ml.evaluation import evaluate
from ml.fitting import FitOptions, TooFewOutcomesError, check_outcomes, fit
from ml.gates import Judging, Verdict
from ml.history import CHALLENGER, CHAMPION
from ml.model import LeadModel
from ml.rules_score import renew_rules_score
from ml.schema import Matrix
from ml.splits import Split, held_out, split_by_lead, split_by_time
from ml.warehouse_io import KEYS, feature_names, read_frame
from warehouse.database import Database

if TYPE_CHECKING:
    from mlflow import MlflowClient

log = get_logger("ml.training")

TABLE = "marts.lead_training_set"
SLICES = ["source", "agent"]
STAND_INS = ["first_name", "postal_code"]
# Past this the figures hardly move, and training would not fit its minute.
MAX_ROWS = 200_000
# Rows on which the registered form is held to the online form.
_PARITY_ROWS = 500


@dataclass(frozen=True)
class TrainingResult:
    """What came of training on the warehouse.

    Attributes:
        model_version: version of ``lead_conversion`` in the registry.
        alias: ``champion`` or ``challenger``.
        decision: why, in a sentence or two.
        checks: what each gate found.
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
    checks: tuple[gates.Check, ...] = ()


@dataclass(frozen=True)
class Untrained:
    """There was too little to train on.

    Attributes:
        reason: what is missing, in a sentence.
        scored_by: what scores leads all the same: the champion's version or that of the rules.
    """

    reason: str
    scored_by: str


@dataclass(frozen=True)
class TrainingSet:
    """Rows of ``marts.lead_training_set``.

    Attributes:
        frame: the features.
        label: 1 where the lead converted.
        leads: who a row is of, as far as splits go: leads of one person are one.
        as_of: the rows' moments, UTC.
        lead_ids: as in ``marts.dim_leads``.
        digest: of all that was read.
    """

    frame: pd.DataFrame
    label: Matrix
    leads: "np.ndarray[Any, Any]"
    as_of: "pd.Series[Any]"
    lead_ids: "np.ndarray[Any, Any]"
    digest: str


_AUDIT_COLUMNS = Path(__file__).parent / "sql" / "audit_columns.sql"


def train_if_possible(
    database: Database, settings: Settings, *, seed: int = 7, actor: str = "training"
) -> TrainingResult | Untrained:
    """Trains where there is enough to train on, and sees that leads can be scored either way.

    A location's first weeks have too few outcomes for a model. That is no failure: training is
    refused with its reason, on record, the champion stays if there is one, and while there is
    none, the rules score is brought up to what the outcomes say so far.

    Raises:
        LeadEngineError: the warehouse is not built, or MLflow cannot be used.
    """
    try:
        result = train_from_warehouse(database, settings, seed=seed, actor=actor)
    except TooFewOutcomesError as error:
        if has_champion(settings, database):
            scored_by = load_champion(settings, database).version
        else:
            scored_by = renew_rules_score(database, error.message).version
        log.info("no model was trained: %s", error.message)
        history.record(
            database,
            history.NOT_TRAINED,
            tracking.REGISTERED_MODEL,
            scored_by,
            {"reason": error.message, "scored_by": scored_by},
            actor=actor,
        )
        return Untrained(error.message, scored_by)
    if result.alias != CHAMPION and not has_champion(settings, database):
        renew_rules_score(database, no_champion(settings, database))
    return result


def train_from_warehouse(
    database: Database, settings: Settings, *, seed: int = 7, actor: str = "training"
) -> TrainingResult:
    """Trains, judges, registers, and promotes if every gate lets it.

    The figures are those of a model that was trained on other leads and on earlier rows, whose
    label windows had ended before the judging period began. The registered model is trained in
    the same way on all rows of those other leads. Held-out leads are the same in every training,
    so that champion and challenger are compared on rows that neither has seen.

    What the gates found stands in the version's tags, in the run's ``gates.json`` and in
    ``ops.audit_trail``.

    Raises:
        TooFewOutcomesError: there is too little to train on, or to judge by.
        LeadEngineError: no training set, or MLflow cannot be used.
    """
    with progress("Reading the training set"):
        data = read_training_set(database)
        others = read_audit_columns(database, data.lead_ids)
    check_outcomes(data.label, data.leads)
    client = tracking.configure(settings, database)
    split = _split(data, settings)
    options = FitOptions(seed=seed)
    judging = _judging(data, others, split.test)
    with progress("Training and judging on held-out rows"):
        train = split.train
        judged = fit(data.frame[train], data.label[train], data.leads[train], options)
        score = judged.score(judging.frame)
        metrics = evaluate(judging.label, score, groups=judging.leads, seed=seed)
    with progress("Training the model to register"):
        outside = held_out(data.leads)
        rows = ~outside
        model = fit(data.frame[rows], data.label[rows], data.leads[rows], options)
    model = model.with_training(
        source=TABLE,
        data_digest=data.digest,
        metrics=metrics.to_dict(),
        judged={"rows": judged.training["rows"], **split.describe()},
        code_revision=registry.code_revision(),
        bins=_bins(model, data.frame[rows]),
    )
    evidence = registry.Evidence(
        metrics, judging.label, score, data.digest, split.describe(), judging.slices
    )
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
    with progress("Holding the model to the gates"):
        champion = load_champion(settings, database) if alias_version(client, CHAMPION) else None
        # Slices and groups are small: there all rows of the held-out leads count, early ones too.
        whole = _judging(data, others, outside)
        whole_score = model.score(whole.frame)
        fair, groups = gates.fairness(whole, whole_score, model)
        checks = (
            *_against(champion, model, judging),
            gates.calibration(judging, model.score(judging.frame), seed),
            *gates.calibration_by_slice(whole, whole_score, seed),
            gates.leaks(
                data.frame[rows],
                data.label[rows],
                data.leads[rows],
                model,
                settings.model_allow,
            ),
            _parity(registered, judging.frame, settings, database),
        )
        verdict = Verdict((*checks, fair), groups)
        alias = _conclude(client, registered, verdict)
        action = history.PROMOTED if verdict.passed else history.REFUSED
        history.record(
            database, action, registered.name, registered.version, verdict.to_dict(), actor=actor
        )
    folder = settings.home / "reports" / f"{registered.name}-{registered.version}"
    calibration, gain, *_ = evidence.write_plots(folder)
    log.info("version %s is %s: %s", registered.version, alias, verdict.decision)
    figures = {k: float(v) for k, v in metrics.to_dict().items() if k != "intervals"}
    return TrainingResult(
        model_version=registered.version,
        alias=alias,
        decision=verdict.decision,
        metrics=figures,
        intervals=metrics.intervals,
        run_id=registered.run_id,
        rows=len(data.label),
        split=split.describe(),
        calibration_plot=calibration,
        gain_plot=gain,
        checks=verdict.checks,
    )


def read_audit_columns(database: Database, lead_ids: "np.ndarray[Any, Any]") -> pd.DataFrame:
    """Per row of ``lead_ids`` what leads are sliced and audited by; none of it is a feature.

    Without ``marts.dim_leads`` no columns are given, and the gates then say that they looked at
    no group.
    """
    query = sql.SQL(_AUDIT_COLUMNS.read_text("utf-8"))
    with database.connect() as connection:
        try:
            found = read_frame(connection, query)
        except (errors.UndefinedTable, errors.UndefinedColumn) as error:
            log.warning("no slices and no audit set: %s", error.diag.message_primary)
            return pd.DataFrame(index=range(len(lead_ids)))
    return found.set_index("lead_id").reindex(lead_ids).reset_index(drop=True)


def read_training_set(database: Database) -> TrainingSet:
    """Reads ``marts.lead_training_set``: whole leads, at most about ``MAX_ROWS`` rows.

    Raises:
        TooFewOutcomesError: the table is empty.
        LeadEngineError: it is not there, or lacks a column.
    """
    relation = sql.Identifier(*TABLE.split("."))
    with database.connect() as connection:
        try:
            found = connection.execute(
                sql.SQL("select count(*) from {}").format(relation)
            ).fetchone()
        except errors.UndefinedTable as error:
            raise LeadEngineError(
                f"{TABLE} is not there.",
                remedy="Load leads and build the dbt project first: `leadengine run` does both.",
            ) from error
        count = int(found[0]) if found else 0
        if not count:
            raise TooFewOutcomesError(
                f"{TABLE} is empty: no lead's label window is over yet.",
                remedy="Wait until the first leads are older than LABEL_DAYS, or load history.",
            )
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
        lead_ids=frame["lead_id"].to_numpy(dtype=object),
        digest=hashlib.sha256(names + rows.tobytes()).hexdigest(),
    )


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


def _judging(
    data: TrainingSet, others: pd.DataFrame, rows: "np.ndarray[Any, np.dtype[np.bool_]]"
) -> Judging:
    return Judging(
        frame=data.frame[rows],
        label=data.label[rows],
        leads=data.leads[rows],
        slices=others.loc[rows, others.columns.intersection(SLICES)],
        stand_ins=others.loc[rows, others.columns.intersection(STAND_INS)],
    )


def _against(
    champion: Champion | None, model: LeadModel, judging: Judging
) -> tuple[gates.Check, ...]:
    """The comparison with the champion, where there is one that can still score."""
    if champion is None:
        return (gates.Check("champion", True, "There was no champion."),)
    version = f"version {champion.version}"
    gone = [name for name in champion.model.schema.names if name not in judging.frame.columns]
    if gone:
        said = f"The champion, {version}, needs {', '.join(gone[:3])}, which the features lack now."
        return (gates.Check("champion", True, said),)
    new, old = model.score(judging.frame), champion.model.score(judging.frame)
    return gates.compare(judging, new, old, version)


def _parity(
    registered: registry.Registered, frame: pd.DataFrame, settings: Settings, database: Database
) -> gates.Check:
    """Holds what MLflow serves to what the online path loads, one lead at a time."""
    import mlflow

    online = registry.load_model(registered.model_uri, settings, database)
    rows = frame[list(online.schema.names)].head(_PARITY_ROWS)
    served = mlflow.pyfunc.load_model(registered.model_uri).predict(rows)
    leads: list[Mapping[str, Any]] = rows.to_dict("records")  # type: ignore[assignment]
    single = [online.predict(online.schema.encode_row(lead))[0] for lead in leads]
    return gates.parity(np.asarray(served, dtype=np.float64), np.array(single))


def _conclude(client: "MlflowClient", registered: registry.Registered, verdict: Verdict) -> str:
    """Sets tags and alias, and keeps what the gates found with the run."""
    alias = CHAMPION if verdict.passed else CHALLENGER
    tags = {"decision": verdict.decision}
    for check in verdict.checks:
        key = f"gate_{check.gate.replace(' ', '_')}"
        tags[key] = f"{'passed' if check.passed else 'refused'}: {check.said}"
    for key, said in tags.items():
        client.set_model_version_tag(registered.name, registered.version, key, said[:4900])
    client.log_dict(registered.run_id, verdict.to_dict(), "gates.json")
    client.set_registered_model_alias(registered.name, alias, registered.version)
    return alias
