"""The registered uplift model as MLflow runs it, logged as code so that nothing is unpickled."""

from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd
from mlflow.pyfunc.model import PythonModel, PythonModelContext

from ml.uplift.model import UpliftModel


class LeadUplift(PythonModel):
    """Added probability of conversion by a touch, per row."""

    def load_context(self, context: PythonModelContext) -> None:
        """Reads the native model that was logged beside this file."""
        self._model = UpliftModel.load(Path(context.artifacts["model"]))

    def predict(
        self,
        context: PythonModelContext,  # noqa: ARG002 - MLflow's signature
        model_input: pd.DataFrame,
        params: dict[str, Any] | None = None,  # noqa: ARG002
    ) -> "np.ndarray[Any, np.dtype[np.float64]]":
        """One effect per row of ``model_input``, in order."""
        self._model.schema.check_columns(model_input.columns, "The input")
        return self._model.effects(model_input)[0]


mlflow.models.set_model(LeadUplift())
