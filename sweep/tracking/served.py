"""The classifier as MLflow serves it; it copies this file and `sweep_model` beside the weights."""

from pathlib import Path
from typing import Any

import numpy as np
from mlflow.models import set_model
from mlflow.pyfunc.model import PythonModel

from sweep_model.classifier import LinearClassifier


class ServedClassifier(PythonModel):
    """Rows of raw features (n, d) in, class probabilities (n, k) out."""

    def load_context(self, context: Any) -> None:
        """Load the weights; an .npz file holds no code."""
        self.classifier = LinearClassifier.load(Path(context.artifacts["classifier"]))

    def predict(self, context: Any, model_input: np.ndarray, params: Any = None) -> Any:  # noqa: ARG002 - MLflow's own signature
        """Return the probability of each class for each row."""
        return self.classifier.probabilities(np.asarray(model_input))


set_model(ServedClassifier())
