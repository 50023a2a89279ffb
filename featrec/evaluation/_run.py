"""Run: the predictions and measurements of one model of a comparison."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator

from featrec.compilation import timed
from featrec.evaluation._given import as_labels
from featrec.evaluation._plan import located, naming
from featrec.evaluation._report import timed_predictions
from featrec.evaluation._splits import Part
from featrec.evaluation._traits import size_of, width_of
from featrec.lazy import unreadable_rows

__all__ = ["Run", "run_model"]


@dataclass(frozen=True, eq=False)
class Run:
    """Predictions and measurements of one model; see ModelResult."""

    y_pred: np.ndarray
    fit_seconds: float | None = None
    predict_seconds: float | None = None
    width: int | None = None
    n_bytes: int | None = None
    n_unreadable: int = 0
    compile_seconds: float = 0.0


def run_model(name: str, model: Any, parts: list[Part]) -> Run:
    """Fit a model on each part and predict the test images."""
    fit_seconds, predict_seconds, compile_seconds, n_unreadable = [], 0.0, 0.0, 0
    predictions: list[np.ndarray] = []
    for part in parts:
        with naming(f"while fitting the model {name!r}"), located(part.train), timed() as fit:
            fitted = clone(model).fit(part.train.taken(), part.y_train)
        n = len(part.test)
        with naming(f"while predicting with the model {name!r}"), located(part.test), unreadable_rows(n) as unreadable:
            predicted, prediction = timed_predictions(fitted, part.test.taken())
        predictions.append(as_labels(predicted, n, what=f"the prediction of the model {name!r}"))
        fit_seconds.append(fit.seconds)
        predict_seconds += prediction.seconds
        compile_seconds += fit.compile_seconds + prediction.compile_seconds
        n_unreadable += len(unreadable)
    y_pred = np.concatenate(predictions)[np.argsort(np.concatenate([part.places for part in parts]))]
    mean_fit = None if isinstance(model, FrozenEstimator) else float(np.mean(fit_seconds))
    width = width_of(fitted, parts[-1].test.first())
    return Run(y_pred, mean_fit, predict_seconds, width, size_of(fitted), n_unreadable, compile_seconds)
