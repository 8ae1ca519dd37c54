"""The registered model as MLflow runs it, logged as code so that nothing is unpickled."""

from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd
from mlflow.pyfunc.model import PythonModel, PythonModelContext

from ml.model import LeadModel


class LeadScore(PythonModel):
    """Calibrated probability of conversion per row."""

    def load_context(self, context: PythonModelContext) -> None:
        """Reads the native model that was logged beside this file."""
        self._model = LeadModel.load(Path(context.artifacts["model"]))

    def predict(
        self,
        context: PythonModelContext,  # noqa: ARG002 - MLflow's signature
        model_input: pd.DataFrame,
        params: dict[str, Any] | None = None,  # noqa: ARG002
    ) -> "np.ndarray[Any, np.dtype[np.float64]]":
        """One score in [0, 1] per row of ``model_input``, in order."""
        self._model.schema.check_columns(model_input.columns, "The input")
        return self._model.score(model_input)


mlflow.models.set_model(LeadScore())
