"""``import``, ``train`` and ``predict``: real leads from a file."""

import json
from pathlib import Path
from typing import Annotated

import typer

from leadengine.cli.context import migrated_database
from leadengine.progress import console


def import_leads(
    file: Annotated[Path, typer.Argument(help="CSV, plain or gzipped.", metavar="FILE.csv")],
    mapping: Annotated[
        Path,
        typer.Option("--map", help="YAML that says which column is what.", metavar="FILE.yaml"),
    ],
) -> None:
    """Loads a CRM export in chunks and reports the rows that were set aside."""
    from ingestion.csv_import import import_file

    _, database = migrated_database()
    report = import_file(database, file, mapping)
    console.print(
        f"{file.name}: {report.rows_read:,} rows read, {report.rows_loaded:,} loaded, "
        f"{report.rows_rejected:,} rejected."
    )
    for reason, count in sorted(report.reasons.items(), key=lambda item: -item[1]):
        console.print(f"  {count:,} rows: {reason}", markup=False)
    if report.rows_rejected:
        console.print("The rejected rows are in ops.quarantine, whole, each with its reason.")
    typer.echo(json.dumps(report.as_dict()))
    if report.rows_read and not report.rows_loaded and not report.already_loaded:
        raise typer.Exit(1)


def train(
    data: Annotated[Path, typer.Option(help="CSV, plain or gzipped.")],
    target: Annotated[str, typer.Option(help="The column to predict: two values.")],
    identifier: Annotated[
        str | None, typer.Option("--id", help="The column that names a row.")
    ] = None,
    exclude: Annotated[str, typer.Option(help="Columns to leave out, by comma.")] = "",
    allow: Annotated[
        str,
        typer.Option(help="Columns to use even if they seem to give the outcome away, by comma."),
    ] = "",
    time: Annotated[str | None, typer.Option(help="The column to split by time.")] = None,
    out: Annotated[Path | None, typer.Option(help="Folder for a copy of model and report.")] = None,
) -> None:
    """Trains on any flat lead table; the last line is one JSON object with the figures."""
    from ml.flat import train_file

    settings, database = migrated_database()
    report = train_file(
        data,
        target=target,
        identifier=identifier,
        exclude=_names(exclude),
        allow=_names(allow),
        time_column=time,
        out=out,
        settings=settings,
        database=database,
    )
    for leak in report.leaks:
        used = "used, being allowed" if leak.column in report.allowed else "left out"
        console.print(f"{leak.column} ({used}): {leak.evidence}", markup=False)
    typer.echo(json.dumps(report.as_dict()))


def _names(listed: str) -> list[str]:
    return [name.strip() for name in listed.split(",") if name.strip()]


def predict(
    model: Annotated[str, typer.Option(help="The model_uri that `train` printed.")],
    data: Annotated[Path, typer.Option(help="CSV, plain or gzipped.")],
    out: Annotated[Path, typer.Option(help="CSV to write: the id and a score in [0, 1].")],
) -> None:
    """Scores every row of a file, in its order."""
    from ml.flat import predict_file

    settings, database = migrated_database()
    report = predict_file(model, data, out, settings=settings, database=database)
    console.print(f"{report.rows:,} rows scored into {out}.")
    for notice in report.notices:
        console.print(notice, markup=False)
