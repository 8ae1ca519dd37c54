"""Uplift models into MLflow and back."""

import tempfile
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from leadengine.errors import LeadEngineError
from leadengine.settings import Settings
from ml import registry, tracking
from ml.registry import new_version
from ml.uplift.evidence import Evidence
from ml.uplift.model import MODEL_FILE, UpliftModel
from warehouse.database import Database

if TYPE_CHECKING:
    from mlflow import MlflowClient

EXPERIMENT = "lead_uplift"
REGISTERED_MODEL = "lead_uplift"


def register_uplift(
    client: "MlflowClient",
    settings: Settings,
    model: UpliftModel,
    evidence: Evidence,
    data_digest: str,
) -> tuple[str, str]:
    """Logs a run with the evidence and the model; returns name and version in the registry.

    Args:
        client: of :func:`ml.tracking.configure`, which also made it MLflow's default.
        settings: for where artifacts go.
        model: what to register.
        evidence: why it may be used.
        data_digest: of the rows it was learnt from.
    """
    import mlflow
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, Schema
    from mlflow.types.schema import TensorSpec

    inputs: list[ColSpec | TensorSpec] = [
        ColSpec("string" if f.kind == "categorical" else "double", f.name, required=True)
        for f in model.schema.features
    ]
    signature = ModelSignature(Schema(inputs), Schema([TensorSpec(np.dtype(np.float64), (-1,))]))
    experiment_id = tracking.experiment_id(client, settings, EXPERIMENT)
    with tempfile.TemporaryDirectory() as temporary:
        file = model.save(Path(temporary))
        with mlflow.start_run(experiment_id=experiment_id, run_name=data_digest[:8]) as run:
            mlflow.set_tags({"code_revision": registry.code_revision(), "data_digest": data_digest})
            mlflow.log_params(model.training)
            if evidence.judged is not None and evidence.effect is not None:
                mlflow.log_metrics(
                    {
                        f"{name}_{end}": getattr(one, end)
                        for name, one in (("qini", evidence.judged), ("effect", evidence.effect))
                        for end in ("value", "low", "high")
                    }
                )
            mlflow.log_dict(evidence.to_dict(), "evidence.json")
            logged = mlflow.pyfunc.log_model(
                name="model",
                python_model=str(Path(__file__).with_name("pyfunc_model.py")),
                artifacts={"model": str(file)},
                signature=signature,
                pip_requirements=[
                    f"{name}=={version(name)}" for name in ("mlflow", "lightgbm", "numpy", "pandas")
                ],
            )
    number = new_version(client, REGISTERED_MODEL, logged, run.info.run_id)
    client.set_registered_model_alias(REGISTERED_MODEL, "champion", number)
    return REGISTERED_MODEL, number


def load_uplift(number: str, settings: Settings, database: Database | None = None) -> UpliftModel:
    """A version of ``lead_uplift``.

    Raises:
        LeadEngineError: there is no such version.
    """
    tracking.configure(settings, database)
    from mlflow.artifacts import download_artifacts
    from mlflow.exceptions import MlflowException

    uri = f"models:/{REGISTERED_MODEL}/{number}"
    with tempfile.TemporaryDirectory() as temporary:
        try:
            local = Path(download_artifacts(artifact_uri=uri, dst_path=temporary))
        except (MlflowException, OSError, ValueError) as error:
            reason = str(error).strip().splitlines()[0][:200]
            raise LeadEngineError(
                f"The model {uri} cannot be fetched: {reason}",
                remedy="Check MLFLOW_TRACKING_URI; it must be where it was trained.",
            ) from error
        found = next(local.rglob(MODEL_FILE), local / MODEL_FILE)
        return UpliftModel.load(found)
