"""Looking after scores in use: drift of inputs and scores, and calibration as outcomes ripen."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import psycopg
from psycopg.types.json import Jsonb

from leadengine.clock import Clock, SystemClock
from leadengine.errors import LeadEngineError
from leadengine.log import get_logger
from leadengine.settings import Settings
from ml import tracking
from ml.champion import Champion, load_version
from ml.drift import SCORE, Bins, Drift, compare, count_all
from ml.ripened import Calibration, read_ripened
from ml.ripened import compare as compare_outcomes
from ml.schema import Matrix
from ml.statements import statement
from ml.vectors import unpack
from ml.watch_report import render
from warehouse.database import Database

log = get_logger("ml.watch")

# A drifted input matters if it makes up at least this share of what moves scores.
WEIGHTY = 0.05
# More vectors than this say nothing new about shares.
_SAMPLED_BLOCKS = 25
_WEIGHED_ROWS = 1_000
# Outcomes of scores up to this long before the newest ripe ones are counted.
_BACK_DAYS = 90
# The same model is not trained again sooner than this, whatever is found.
_PATIENCE = timedelta(days=7)


@dataclass(frozen=True)
class Look:
    """What was found.

    Attributes:
        watch_id: row of ``ml.watch_runs``.
        as_of: moment of the scores looked at, UTC.
        baseline_as_of: moment of the first scores of the same model, which they are compared with.
        model_version: of ``lead_conversion``.
        rows: leads whose vectors were looked at.
        verdict: ``steady``, ``drifted``, ``miscalibrated`` or ``too_few``.
        summary: why, in a sentence.
        drifts: the score first, then the inputs, the most moved first.
        weights: per input its share of what moves scores.
        calibration: None while no label window is over.
        report: the HTML page.
        artifact: its address in MLflow.
    """

    watch_id: int
    as_of: datetime
    baseline_as_of: datetime
    model_version: str
    rows: int
    verdict: str
    summary: str
    drifts: tuple[Drift, ...]
    weights: dict[str, float]
    calibration: Calibration | None
    report: Path
    artifact: str


@dataclass(frozen=True)
class Alarm:
    """The newest look, as far as a decision to train needs it."""

    watch_id: int
    model_version: str
    verdict: str
    watched_at: datetime


def watch(database: Database, settings: Settings, *, clock: Clock | None = None) -> Look:
    """Looks at the newest scores, stores what it finds, and writes the report.

    Inputs and scores are compared with those of the first run that the same version scored, in
    bins that were fixed at its training. Not with the training rows: those are moments of all ages
    of a lead, while a run has the leads that are open on one day.

    Args:
        database: the warehouse.
        settings: where MLflow is, the label window, the state folder.
        clock: tells the moment of the look.

    Raises:
        LeadEngineError: there are no scores with vectors, or the model carries no bins.
    """
    now = (clock or SystemClock()).now()
    with database.connect() as connection:
        run = connection.execute(statement("watched_run.sql")).fetchone()
        if run is None:
            raise LeadEngineError(
                "There are no scores with vectors to look at.",
                remedy="Score the leads first: `leadengine run`.",
            )
        as_of, version = run
        champion = load_version(settings, database, version)
        bins = [Bins.from_dict(one) for one in champion.model.training.get("bins", ())]
        if not bins:
            raise LeadEngineError(
                f"Version {version} of the model was trained without bins to compare in.",
                remedy="Train again: run the Dagster job `train`.",
            )
        matrix = _vectors(connection, as_of, version)
        scores = champion.model.predict(matrix)
        counts = count_all(bins, champion.model, matrix, scores)
        baseline_as_of, then = _baseline(connection, champion, bins, as_of, counts)
        known_until = connection.execute("select max(as_of) from marts.lead_features").fetchone()
        calibration = _calibration(connection, settings, known_until[0] if known_until else None)
    weights = _weights(champion, matrix)
    drifts = sorted(
        (compare(one, then[one.name], counts[one.name]) for one in bins),
        key=lambda drift: (drift.name != SCORE, -drift.psi),
    )
    verdict, summary = judge(drifts, weights, calibration)
    artifact, report = "", settings.home / "reports" / f"watch-{version}-{as_of:%Y%m%dT%H%M%S}.html"
    page = render(
        as_of, baseline_as_of, version, len(matrix), verdict, summary, drifts, weights, calibration
    )
    report.parent.mkdir(parents=True, exist_ok=True)
    report.write_text(page, encoding="utf-8")
    artifact = _log(database, settings, report, version, drifts, calibration)
    with database.connect() as connection:
        watch_id = _store(
            connection, now, as_of, baseline_as_of, champion, len(matrix), verdict, summary, counts
        )
        _store_figures(connection, watch_id, drifts, weights, calibration)
    log.info("looked after version %s: %s", version, summary)
    return Look(
        watch_id, as_of, baseline_as_of, version, len(matrix), verdict, summary, tuple(drifts),
        weights, calibration, report, artifact,
    )  # fmt: skip


def judge(
    drifts: list[Drift], weights: dict[str, float], calibration: Calibration | None
) -> tuple[str, str]:
    """The verdict and why.

    Wrong probabilities come before drift: they are what drift would make one fear. An input that
    hardly moves scores may drift as it likes.
    """
    if calibration is not None and calibration.off:
        return "miscalibrated", (
            f"{calibration.observed} of {calibration.rows} leads converted where "
            f"{calibration.expected:.1f} were expected; scores are off by "
            f"{100 * calibration.error:.1f} points on average."
        )
    drifted = [d for d in drifts if alarming(d, weights)]
    if drifted:
        names = ", ".join(f"{d.name} ({d.psi:.2f})" for d in drifted[:3])
        return "drifted", f"Another population than when the model went into use: {names}."
    if not any(drift.enough for drift in drifts):
        return "too_few", "Too few leads to tell a drift from chance."
    return "steady", "No input that matters has drifted, nor have the scores."


def alarming(drift: Drift, weights: dict[str, float]) -> bool:
    """Whether a drift is one to act on."""
    return drift.drifted and (drift.name == SCORE or weights.get(drift.name, 0.0) >= WEIGHTY)


def newest_alarm(database: Database) -> Alarm | None:
    """The newest look, if it says that the model no longer fits."""
    with database.connect() as connection:
        row = connection.execute(
            "select watch_id, model_version, verdict, watched_at from ml.watch_runs"
            " order by watch_id desc limit 1"
        ).fetchone()
    if row is None or row[2] not in ("drifted", "miscalibrated"):
        return None
    return Alarm(*row)


def should_retrain(alarm: Alarm | None, last: Alarm | None) -> bool:
    """Whether an alarm starts training, given the last one that did.

    One alarm starts it once. A version that was found wanting, and that no challenger replaced, is
    found wanting at every look; it is tried again after a week.
    """
    if alarm is None:
        return False
    if last is None or alarm.model_version != last.model_version:
        return last is None or alarm.watch_id > last.watch_id
    return alarm.watched_at - last.watched_at >= _PATIENCE


def _vectors(connection: psycopg.Connection, as_of: datetime, version: str) -> Matrix:
    rows = connection.execute(
        statement("watched_vectors.sql"),
        {"as_of": as_of, "version": version, "blocks": _SAMPLED_BLOCKS},
    ).fetchall()
    return np.vstack([unpack(data) for (data,) in rows])


def _baseline(
    connection: psycopg.Connection,
    champion: Champion,
    bins: list[Bins],
    as_of: datetime,
    counts: dict[str, list[int]],
) -> tuple[datetime, dict[str, list[int]]]:
    """Moment and counts of the first run of this version."""
    first = connection.execute(
        "select baseline_as_of, counts from ml.watch_runs"
        " where model_version = %s and as_of = baseline_as_of order by watch_id limit 1",
        [champion.version],
    ).fetchone()
    if first is not None:
        return first
    oldest = connection.execute(
        "select min(as_of) from ml.feature_blocks where model_version = %s", [champion.version]
    ).fetchone()
    moment = oldest[0] if oldest else as_of
    if moment == as_of:
        return as_of, counts
    matrix = _vectors(connection, moment, champion.version)
    return moment, count_all(bins, champion.model, matrix, champion.model.predict(matrix))


def _calibration(
    connection: psycopg.Connection, settings: Settings, known_until: datetime | None
) -> Calibration | None:
    if known_until is None:
        return None
    scores, outcomes = read_ripened(connection, known_until, settings.label_days, _BACK_DAYS)
    return compare_outcomes(scores, outcomes) if len(scores) else None


def _weights(champion: Champion, matrix: Matrix) -> dict[str, float]:
    """Each input's share of the mean absolute contribution."""
    step = max(1, len(matrix) // _WEIGHED_ROWS)
    sizes = np.abs(champion.model.contributions(matrix[::step])[:, :-1]).mean(axis=0)
    shares = sizes / max(float(sizes.sum()), 1e-12)
    return dict(zip(champion.model.schema.names, shares.tolist(), strict=True))


def _store(
    connection: psycopg.Connection,
    now: datetime,
    as_of: datetime,
    baseline_as_of: datetime,
    champion: Champion,
    rows: int,
    verdict: str,
    summary: str,
    counts: dict[str, list[int]],
) -> int:
    row = connection.execute(
        "insert into ml.watch_runs (watched_at, as_of, baseline_as_of, model_name, model_version,"
        " row_count, verdict, summary, counts) values (%s, %s, %s, %s, %s, %s, %s, %s, %s)"
        " returning watch_id",
        [now, as_of, baseline_as_of, champion.name, champion.version, rows, verdict, summary,
         Jsonb(counts)],
    ).fetchone()  # fmt: skip
    if row is None:
        raise RuntimeError("insert returning gave no row")
    return int(row[0])


def _store_figures(
    connection: psycopg.Connection,
    watch_id: int,
    drifts: list[Drift],
    weights: dict[str, float],
    calibration: Calibration | None,
) -> None:
    figures: list[tuple[Any, ...]] = [
        (watch_id, "score" if d.name == SCORE else "input", d.name, d.psi, None, d.by_chance,
         d.rows, alarming(d, weights))
        for d in drifts
    ]  # fmt: skip
    if calibration is not None:
        c = calibration
        figures += [
            (watch_id, "calibration", "observed_over_expected", c.ratio, c.low, c.high, c.rows,
             c.off),
            (watch_id, "calibration", "ece", c.error, None, None, c.rows, c.off),
        ]  # fmt: skip
    with connection.cursor() as cursor:
        cursor.executemany(
            "insert into ml.watch_figures (watch_id, kind, name, value, low, high, row_count,"
            " is_alarming) values (%s, %s, %s, %s, %s, %s, %s, %s)",
            figures,
        )


def _log(
    database: Database,
    settings: Settings,
    report: Path,
    version: str,
    drifts: list[Drift],
    calibration: Calibration | None,
) -> str:
    """The report and the main figures as a run in MLflow; the report's address there."""
    client = tracking.configure(settings, database)
    experiment = tracking.experiment_id(client, settings, tracking.EXPERIMENT)
    run = client.create_run(experiment, run_name=report.stem, tags={"watched_version": version})
    client.log_metric(run.info.run_id, "score_psi", drifts[0].psi)
    if calibration is not None:
        client.log_metric(run.info.run_id, "ripened_ece", calibration.error)
    client.log_artifact(run.info.run_id, str(report))
    client.set_terminated(run.info.run_id)
    return f"{run.info.artifact_uri}/{report.name}"
