"""Log a model file in MLflow without a pickle: a pyfunc model that is stored as this file ("models from code").

    python mlflow_model.py my.model scenes_mlflow
    mlflow models serve --model-uri scenes_mlflow --env-manager local --port 5001

MLflow copies this file and the model file. When the model is loaded, it runs this file, which calls `featrec.persistence.load`.
MLflow's own flavours for scikit-learn use pickle, or trust the types that the file itself names; `load` does neither. The model
takes a table with a column "image" of encoded images (over HTTP: base64 text), and returns "label", "confidence" and "error".
"""

from __future__ import annotations

import sys
from pathlib import Path

import mlflow
import pandas as pd
from mlflow.models import ModelSignature
from mlflow.types.schema import ColSpec, Schema

from featrec.serving import Predictor

SIGNATURE = ModelSignature(
    Schema([ColSpec("binary", "image")]),
    Schema([ColSpec("string", "label"), ColSpec("double", "confidence"), ColSpec("string", "error")]),
)


class FeatrecModel(mlflow.pyfunc.PythonModel):
    """Answers a table of encoded images."""

    def load_context(self, context):
        self.predictor = Predictor(context.artifacts["model"])
        self.predictor.warm()

    def predict(self, context, model_input, params=None):
        answers = self.predictor.predict(list(model_input["image"]))
        return pd.DataFrame(
            {
                "label": [None if answer.label is None else str(answer.label) for answer in answers],
                "confidence": [answer.confidence for answer in answers],
                "error": [None if answer.error is None else str(answer.error) for answer in answers],
            }
        )


def save(model_file, folder, requirements=("featrec",)):
    """Write an MLflow model. For a tracking server, use mlflow.pyfunc.log_model with the same arguments."""
    mlflow.pyfunc.save_model(
        path=folder,
        python_model=str(Path(__file__).resolve()),
        artifacts={"model": str(model_file)},
        signature=SIGNATURE,
        pip_requirements=list(requirements),
    )


if __name__ == "__main__":
    save(*sys.argv[1:3])
else:  # MLflow imports this file to load the model
    mlflow.models.set_model(FeatrecModel())
