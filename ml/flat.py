"""``leadengine train`` and ``predict``: any flat lead table, the warehouse's own code."""

import csv
import gzip
import json
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

import numpy as np
import pandas as pd

from leadengine.delimited import DelimitedFile
from leadengine.errors import LeadEngineError
from leadengine.progress import progress
from leadengine.settings import Settings
from ml import registry, tracking
from ml.evaluation import Metrics, evaluate
from ml.fitting import FitOptions, fit
from ml.leak_signs import Leak
from ml.leaks import find_leaks
from ml.model import LeadModel
from ml.schema import infer_columns
from ml.splits import Split, split_at_random, split_by_time
from ml.table import FlatTable, check_named, read_outcome, read_table, read_times
from warehouse.database import Database

EXPERIMENT = "lead_tables"
_REPORTED_REJECTIONS = 20


@dataclass(frozen=True)
class FileTraining:
    """What came of training on a file.

    Attributes:
        model_uri: what ``predict`` takes.
        metrics: figures on rows that the judged model was not trained on.
        rows: rows with a known outcome.
        rejected: rows set aside, as (line, reason).
        dropped: columns that are no features, with the reason.
        features: the features.
        split: how judging rows were chosen.
        run_id: MLflow's run.
        leaks: columns that give the outcome away, with the evidence.
        allowed: those of them that are features all the same, having been allowed by name.
        notices: what a person should know.
    """

    model_uri: str
    metrics: Metrics
    rows: int
    rejected: tuple[tuple[int, str], ...]
    dropped: dict[str, str]
    features: list[str]
    split: dict[str, Any]
    run_id: str
    leaks: tuple[Leak, ...] = ()
    allowed: tuple[str, ...] = ()
    out: Path | None = None
    notices: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """The JSON object that ``leadengine train`` prints."""
        figures = self.metrics.to_dict()
        return {
            **{k: v for k, v in figures.items() if k not in ("rows", "intervals")},
            "intervals": figures["intervals"],
            "model_uri": self.model_uri,
            "rows": self.rows,
            "rows_test": figures["rows"],
            "rows_rejected": len(self.rejected),
            "rejected": [
                {"line": line, "reason": reason}
                for line, reason in self.rejected[:_REPORTED_REJECTIONS]
            ],
            "split": self.split,
            "features": self.features,
            "dropped": self.dropped,
            "leak_guard": [
                {
                    "column": leak.column,
                    "sign": leak.sign,
                    "evidence": leak.evidence,
                    "action": "allowed" if leak.column in self.allowed else "left out",
                }
                for leak in self.leaks
            ],
            "run_id": self.run_id,
            "out": None if self.out is None else str(self.out),
            "notices": list(self.notices),
        }


@dataclass(frozen=True)
class FilePrediction:
    """What came of scoring a file."""

    rows: int
    out: Path
    id_column: str
    ignored: tuple[str, ...] = ()
    notices: tuple[str, ...] = ()


def train_file(
    data: Path,
    target: str,
    *,
    settings: Settings,
    database: Database | None = None,
    identifier: str | None = None,
    exclude: Sequence[str] = (),
    allow: Sequence[str] = (),
    time_column: str | None = None,
    out: Path | None = None,
    name: str | None = None,
    seed: int = 7,
) -> FileTraining:
    """Trains on a delimited file, judges on rows held out, and registers the model.

    The figures are those of a model trained without the judging rows: the latest fifth where a
    time column is given, else a stratified fifth; rows of one id stay together. The registered
    model is then trained in the same way on all rows. It is registered under a name of its own
    and never touches ``lead_conversion``, which belongs to the warehouse.

    Args:
        data: CSV in UTF-8, gzip or plain.
        target: the outcome, 1 or 0.
        settings: MLFLOW_TRACKING_URI and the state folder.
        database: needed where MLFLOW_TRACKING_URI is not set.
        identifier: the column that names the lead; not a feature; may repeat.
        exclude: columns that must not be features.
        allow: columns that are features even if the leak guard names them. What it names and
            nobody allows is left out.
        time_column: when each row was known; not a feature.
        out: a folder that also receives the model and ``report.json``.
        name: of the registered model; by default after the file.
        seed: same file and seed, same model.

    Raises:
        LeadEngineError: the file, a column or its values cannot be used; names which.
    """
    with progress(f"Reading {data.name}"):
        table = read_table(data)
    header = list(table.frame.columns)
    check_named(data, header, "the target", [target])
    check_named(data, header, "--id", [identifier] if identifier else [])
    check_named(data, header, "--time", [time_column] if time_column else [])
    check_named(data, header, "--exclude", list(exclude))
    check_named(data, header, "--allow", list(allow))
    if target in exclude or target in (identifier, time_column):
        raise LeadEngineError(
            f"The target {target!r} is also named as --id, --time or --exclude.",
            remedy="Name each column once.",
        )
    registered_name = _registered_name(name or data.name.split(".")[0])
    client = tracking.configure(settings, database)

    rejected_before = len(table.rejected)
    table, label = read_outcome(table, target)
    times: Any = None
    if time_column:
        table, label, times = read_times(table, label, time_column)
    leads = _leads(table, identifier)
    no_features = tuple(n for n in (target, identifier, time_column, *exclude) if n)
    with progress("Looking for columns that give the outcome away"):
        leaks = find_leaks(table.frame, label, leads, exclude=no_features, times=times, seed=seed)
    refused = {leak.column: leak for leak in leaks if leak.column not in allow}
    _check_remains(table, no_features, refused)
    options = FitOptions(seed=seed, exclude=(*no_features, *refused))

    if times is not None:
        split = split_by_time(times, label, leads, test_share=0.2)
    else:
        split = split_at_random(label, leads, seed)
    with progress("Training and judging on held-out rows"):
        judged, score = _judge(table, label, leads, split, options)
        metrics = evaluate(label[split.test], score, groups=leads[split.test], seed=seed)
    with progress("Training the model to register"):
        model = fit(table.frame, label, leads, options)
    model = model.with_training(
        source="file",
        leak_guard={name: leak.evidence for name, leak in refused.items()},
        target=target,
        id_column=identifier or _found_id(model),
        columns=header,
        data_digest=table.digest,
        metrics=metrics.to_dict(),
        judged={"rows": judged.training["rows"], **split.describe()},
        code_revision=registry.code_revision(),
    )
    evidence = registry.Evidence(metrics, label[split.test], score, table.digest, split.describe())
    with progress("Registering the model"):
        registered = registry.register(
            client,
            settings,
            model,
            evidence,
            experiment=EXPERIMENT,
            registered_name=registered_name,
            run_name=registered_name,
            examples=model.schema.encode(table.frame.head(3)),
        )
    training = FileTraining(
        model_uri=registered.model_uri,
        metrics=metrics,
        rows=len(label),
        rejected=tuple((row.line, row.reason) for row in table.rejected),
        dropped=model.schema.dropped
        | {name: f"gives the outcome away ({leak.sign})" for name, leak in refused.items()},
        features=list(model.schema.names),
        split=split.describe(),
        run_id=registered.run_id,
        leaks=tuple(leaks),
        allowed=tuple(leak.column for leak in leaks if leak.column not in refused),
        out=out,
        notices=(*_notices(table, rejected_before, model), *_guard_notices(leaks, refused)),
    )
    if out is not None:
        _write_out(out, model, evidence, training)
    return training


def predict_file(
    model_uri: str,
    data: Path,
    out: Path,
    *,
    settings: Settings,
    database: Database | None = None,
    identifier: str | None = None,
    chunk_rows: int = 50_000,
) -> FilePrediction:
    """Scores a delimited file: the id and a calibrated probability per row, in input order.

    The id is the column the model was trained with (``--id``, or the first column that looked
    like an identifier); failing both, the row's number from 1. The output appears under its name
    only when it is complete.

    Args:
        model_uri: of :func:`train_file`, or a folder with a model.
        data: CSV in UTF-8, gzip or plain; columns that the model does not know are ignored.
        out: CSV to write, gzip if its name ends in ``.gz``.
        settings: MLFLOW_TRACKING_URI and the state folder.
        database: needed where MLFLOW_TRACKING_URI is not set and ``model_uri`` is no folder.
        identifier: another id column.
        chunk_rows: rows in memory at a time.

    Raises:
        LeadEngineError: no such model, a feature column is missing, or a row is broken. Nothing
            is written then.
    """
    model = registry.load_model(model_uri, settings, database)
    file = DelimitedFile(data)
    model.schema.check_columns(file.header, str(data))
    wanted = identifier or model.training.get("id_column")
    check_named(data, file.header, "the id", [wanted] if wanted else [])
    known = {*model.schema.names, *model.schema.dropped, *model.training.get("columns", ()), wanted}
    ignored = tuple(name for name in file.header if name not in known)
    notices = (f"Ignored columns unknown to the model: {', '.join(ignored)}.",) if ignored else ()

    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        partial = out.with_name(f".{out.name}.{os.getpid()}.partial")
        rows = _write_scores(model, file, partial, wanted, chunk_rows, zipped=out.suffix == ".gz")
        partial.replace(out)
    except OSError as error:
        raise LeadEngineError(
            f"{out} cannot be written: {error.strerror}.",
            remedy="Choose a file in a folder that you may write to.",
        ) from error
    finally:
        partial.unlink(missing_ok=True)
    return FilePrediction(rows, out, wanted or "row", ignored, notices)


def _write_scores(
    model: LeadModel,
    file: DelimitedFile,
    partial: Path,
    id_column: str | None,
    chunk_rows: int,
    *,
    zipped: bool,
) -> int:
    rows = 0
    with _open_text(partial, zipped=zipped) as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow([id_column or "row", "score"])
        for chunk in file.chunks(chunk_rows):
            if chunk.rejected:
                broken = chunk.rejected[0]
                raise LeadEngineError(
                    f"{file.path}: line {broken.line} is broken: {broken.reason}.",
                    remedy="Mend or delete the line; nothing was written, since every row of the "
                    "input must get its score.",
                )
            frame = pd.DataFrame(chunk.rows, columns=file.header, dtype="str")
            ids = (
                frame[id_column].tolist()
                if id_column
                else list(range(rows + 1, rows + 1 + len(frame)))
            )
            writer.writerows(zip(ids, model.score(frame).tolist(), strict=True))
            rows += len(frame)
    return rows


def _open_text(path: Path, *, zipped: bool) -> TextIO:
    if zipped:
        return gzip.open(path, "wt", encoding="utf-8", newline="")
    return path.open("w", encoding="utf-8", newline="")


def _judge(
    table: FlatTable,
    label: "np.ndarray[Any, np.dtype[np.float64]]",
    leads: "np.ndarray[Any, Any]",
    split: Split,
    options: FitOptions,
) -> "tuple[LeadModel, np.ndarray[Any, np.dtype[np.float64]]]":
    judged = fit(table.frame[split.train], label[split.train], leads[split.train], options)
    return judged, judged.score(table.frame[split.test])


def _leads(table: FlatTable, id_column: str | None) -> "np.ndarray[Any, Any]":
    """The lead per row; a row without an id is a lead of its own."""
    if id_column is None:
        return np.arange(len(table.frame)).astype(str)
    ids = table.frame[id_column].astype(object).fillna("").to_numpy()
    return np.array([text or f"line {line}" for text, line in zip(ids, table.lines, strict=True)])


def _found_id(model: LeadModel) -> str | None:
    found = (n for n, why in model.schema.dropped.items() if why.startswith("an identifier"))
    return next(found, None)


def _registered_name(name: str) -> str:
    slug = re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_") or "table"
    if slug == tracking.REGISTERED_MODEL:
        raise LeadEngineError(
            f"The name {slug!r} belongs to the model of the warehouse.",
            remedy="Give the model of this file another --name.",
        )
    return f"table_{slug}"


def _notices(table: FlatTable, rejected_before: int, model: LeadModel) -> tuple[str, ...]:
    notices = []
    if rejected_before:
        first = table.rejected[0]
        notices.append(
            f"{rejected_before} broken rows are not used, the first on line {first.line} "
            f"({first.reason})."
        )
    if aside := len(table.rejected) - rejected_before:
        notices.append(f"{aside} rows without an outcome or a readable time are set aside.")
    for column, reason in model.schema.dropped.items():
        notices.append(f"{column!r} is no feature: {reason}.")
    return tuple(notices)


def _guard_notices(leaks: Sequence[Leak], refused: Mapping[str, Leak]) -> list[str]:
    return [
        f"{leak.column!r} gives the outcome away and is left out; --allow {leak.column!r} would "
        f"use it. {leak.evidence}"
        if leak.column in refused
        else f"{leak.column!r} gives the outcome away and is used, being allowed. {leak.evidence}"
        for leak in leaks
    ]


def _check_remains(
    table: FlatTable, no_features: Sequence[str], refused: Mapping[str, Leak]
) -> None:
    if not refused or infer_columns(table.frame, (*no_features, *refused))[0]:
        return
    first = next(iter(refused.values()))
    raise LeadEngineError(
        f"{table.path}: every column that could be a feature gives the outcome away: "
        f"{', '.join(map(repr, refused))}. {first.column!r}: {first.evidence}",
        remedy="Give a table with what was known of the lead before its outcome, or name columns "
        "that are known to be honest with --allow.",
    )


def _write_out(
    out: Path, model: LeadModel, evidence: registry.Evidence, training: FileTraining
) -> None:
    try:
        model.save(out / "model")
        evidence.write_plots(out)
        text = json.dumps(training.as_dict(), indent=2)
        (out / "report.json").write_text(text, "utf-8")
        with (out / "rejected_rows.csv").open("w", encoding="utf-8", newline="") as stream:
            writer = csv.writer(stream)
            writer.writerow(["line", "reason"])
            writer.writerows(training.rejected)
    except OSError as error:
        raise LeadEngineError(
            f"The folder {out} cannot be written: {error.strerror}.",
            remedy="Give --out a folder that you may write to.",
        ) from error
