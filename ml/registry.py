"""Models into MLflow and back."""

import json
import re
import subprocess
import tempfile
from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from leadengine.errors import LeadEngineError
from leadengine.settings import Settings
from ml import tracking
from ml.evaluation import Metrics
from ml.model import MODEL_FILE, LeadModel
from ml.schema import EMPTY, FIRST_LEVEL, Matrix
from warehouse.database import Database

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.models import ModelSignature
    from mlflow.models.model import ModelInfo

_NATIVE = "artifacts"


@dataclass(frozen=True)
class Evidence:
    """What a model was judged by.

    Attributes:
        metrics: figures on rows not trained on.
        label, score: those rows.
        data_digest: digest of the training data.
        split: how training and judging rows were told apart.
        slices: columns over those rows by which calibration is shown.
    """

    metrics: Metrics
    label: Matrix
    score: Matrix
    data_digest: str
    split: dict[str, Any]
    slices: pd.DataFrame = field(default_factory=pd.DataFrame)

    def write_plots(self, folder: Path) -> tuple[Path, ...]:
        """Calibration, gain, precision-recall and one per slicing column, as PNG."""
        # Matplotlib takes a second to import, and only training draws.
        from ml.plots import calibration_plot, gain_plot, precision_recall_plot, slice_plot

        folder.mkdir(parents=True, exist_ok=True)
        label, score = self.label, self.score
        return (
            calibration_plot(label, score, folder / "calibration.png"),
            gain_plot(label, score, folder / "gain.png"),
            precision_recall_plot(label, score, folder / "precision_recall.png"),
            *(
                slice_plot(
                    label,
                    score,
                    self.slices[name].astype(object).fillna("").to_numpy(),
                    str(name),
                    folder / f"slices_{_slug(str(name))}.png",
                )
                for name in self.slices.columns
            ),
        )


@dataclass(frozen=True)
class Registered:
    """A model in the registry; ``model_uri`` is what ``leadengine predict`` takes."""

    name: str
    version: str
    run_id: str
    model_uri: str


def register(
    client: "MlflowClient",
    settings: Settings,
    model: LeadModel,
    evidence: Evidence,
    *,
    experiment: str,
    registered_name: str,
    run_name: str,
    examples: Matrix,
) -> Registered:
    """Logs a run with figures, plots and the model, and registers a new version of it.

    Args:
        client: of :func:`ml.tracking.configure`, which also made it MLflow's default.
        settings: for where artifacts go.
        model: what to register.
        evidence: how it was judged.
        experiment: MLflow experiment; made if absent.
        registered_name: name in the registry.
        run_name: shown in MLflow.
        examples: a few rows of the matrix, to show the shape of the input. Only features, and of
            categories only values that many leads share: nobody can be told from them.
    """
    import mlflow

    experiment_id = tracking.experiment_id(client, settings, experiment)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        native = model.save(folder / "model").parent
        with mlflow.start_run(experiment_id=experiment_id, run_name=run_name) as run:
            mlflow.set_tags(
                {
                    "code_revision": code_revision(),
                    "data_digest": evidence.data_digest,
                    "feature_version": model.feature_version,
                }
            )
            mlflow.log_params(_params(model, evidence))
            mlflow.log_metrics(_figures(evidence.metrics))
            for plot in evidence.write_plots(folder / "plots"):
                mlflow.log_artifact(str(plot), "plots")
            mlflow.log_dict(model.schema.to_dict(), "features.json")
            mlflow.log_dict(model.training, "training.json")
            logged = mlflow.pyfunc.log_model(
                name="model",
                python_model=str(Path(__file__).with_name("pyfunc_model.py")),
                artifacts={"model": str(native)},
                signature=_signature(model),
                input_example=input_example(model, examples),
                # Left to find them out itself, MLflow would take ten seconds.
                pip_requirements=[
                    f"{name}=={version(name)}" for name in ("mlflow", "lightgbm", "numpy", "pandas")
                ],
            )
    number = new_version(client, registered_name, logged, run.info.run_id)
    return Registered(
        name=registered_name,
        version=number,
        run_id=str(run.info.run_id),
        model_uri=f"models:/{registered_name}/{number}",
    )


def new_version(client: "MlflowClient", name: str, logged: "ModelInfo", run_id: str) -> str:
    """Makes a logged model the next version under a name of the registry, made if absent."""
    from mlflow.exceptions import MlflowException

    # Not mlflow.register_model, which talks to the terminal.
    try:
        client.create_registered_model(name)
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
    registered = client.create_model_version(
        name, logged.model_uri, run_id=run_id, model_id=logged.model_id, await_creation_for=0
    )
    return str(registered.version)


def load_model(uri: str, settings: Settings, database: Database | None = None) -> LeadModel:
    """A model by a folder's path or an MLflow URI (``models:/…``, ``runs:/…``, ``file:…``).

    Raises:
        LeadEngineError: there is no such model, or it is not one of ours.
    """
    folder = Path(uri.removeprefix("file://"))
    if folder.is_dir():
        return LeadModel.load(_native_folder(folder))
    if ":/" not in uri:
        raise LeadEngineError(
            f"There is no model at {uri}.",
            remedy="Give a model folder or the model_uri that `leadengine train` printed.",
        )
    tracking.configure(settings, database)
    from mlflow.artifacts import download_artifacts
    from mlflow.exceptions import MlflowException

    with tempfile.TemporaryDirectory() as temporary:
        try:
            local = Path(download_artifacts(artifact_uri=uri, dst_path=temporary))
        except (MlflowException, OSError, ValueError) as error:
            reason = str(error).strip().splitlines()[0][:200]
            raise LeadEngineError(
                f"The model {uri} cannot be fetched: {reason}",
                remedy="Check the URI and MLFLOW_TRACKING_URI; it must be where it was trained.",
            ) from error
        return LeadModel.load(_native_folder(local))


def input_example(model: LeadModel, matrix: Matrix) -> pd.DataFrame:
    """Rows of the matrix in the form of the model's input."""
    columns: dict[str, Any] = {}
    for i, feature in enumerate(model.schema.features):
        if feature.kind == "categorical":
            codes = matrix[:, i].astype(int)
            columns[feature.name] = [
                feature.levels[c - FIRST_LEVEL] if c >= FIRST_LEVEL else _spell(c) for c in codes
            ]
        else:
            columns[feature.name] = matrix[:, i]
    return pd.DataFrame(columns)


def _slug(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_") or "column"


@cache
def code_revision() -> str:
    """The commit that runs, with ``+changes`` if files differ from it; else the version."""
    root = Path(__file__).resolve().parent.parent
    try:
        commit = _git(root, "rev-parse", "HEAD")
        changed = _git(root, "status", "--porcelain", "--untracked-files=no")
    except (OSError, subprocess.SubprocessError):
        return f"leadengine {version('leadengine')}"
    return f"{commit}+changes" if changed else commit


def _git(root: Path, *arguments: str) -> str:
    done = subprocess.run(
        ["git", *arguments],  # noqa: S607 - wherever git is
        cwd=root,
        check=True,
        capture_output=True,
        text=True,
        timeout=10,
    )
    return done.stdout.strip()


def _native_folder(folder: Path) -> Path:
    """Where model.json lies in a folder of ours or in a logged MLflow model."""
    for place in (folder, folder / "model", folder / _NATIVE / "model"):
        if (place / MODEL_FILE).is_file():
            return place
    return folder


def _spell(code: int) -> str | None:
    return None if code == EMPTY else "(other)"


def _signature(model: LeadModel) -> "ModelSignature":
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, Schema
    from mlflow.types.schema import TensorSpec

    # Flags are doubles too: MLflow's boolean has no room for a missing value.
    inputs: list[ColSpec | TensorSpec] = [
        ColSpec("string" if f.kind == "categorical" else "double", f.name, required=True)
        for f in model.schema.features
    ]
    return ModelSignature(Schema(inputs), Schema([TensorSpec(np.dtype(np.float64), (-1,))]))


def _params(model: LeadModel, evidence: Evidence) -> dict[str, Any]:
    candidates = model.training["candidates"]
    return {
        "seed": model.training["seed"],
        "features": len(model.schema.features),
        "rows_train": model.training["rows"],
        "split": json.dumps(evidence.split),
        "calibration": model.calibrator.kind,
        **{f"weight_{name}": found["weight"] for name, found in candidates.items()},
        **{
            f"{name}_{key}": found[key]
            for name, found in candidates.items()
            for key in ("C", "rounds", "num_leaves", "learning_rate", "min_data_in_leaf")
            if key in found
        },
    }


def _figures(metrics: Metrics) -> dict[str, float]:
    figures = {k: float(v) for k, v in metrics.to_dict().items() if k != "intervals"}
    for name, (low, high) in metrics.intervals.items():
        figures |= {f"{name}_low": low, f"{name}_high": high}
    return figures
