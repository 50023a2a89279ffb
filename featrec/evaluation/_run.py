"""One model of a comparison: fitted and asked, timed and weighed."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import Pipeline

from featrec.compilation import timed
from featrec.evaluation._evaluate import timed_predictions
from featrec.evaluation._folds import Part
from featrec.evaluation._labels import as_labels
from featrec.evaluation._located import located
from featrec.evaluation._preflight import naming
from featrec.exceptions import FeatrecError
from featrec.lazy import unreadable_rows
from featrec.persistence import model_bytes

__all__ = ["Run", "is_network", "learns_from_pixels", "run_model"]


@dataclass(frozen=True, eq=False)
class Run:
    """What running a model gave; see ModelResult."""

    y_pred: np.ndarray
    fit_seconds: float | None = None
    predict_seconds: float | None = None
    width: int | None = None
    n_bytes: int | None = None
    n_unreadable: int = 0
    compile_seconds: float = 0.0


def run_model(name: str, model: Any, parts: list[Part]) -> Run:
    """Fit a model on each part and predict."""
    fit_seconds, predict_seconds, compile_seconds, n_unreadable = [], 0.0, 0.0, 0
    predictions: list[np.ndarray] = []
    for part in parts:
        with naming(f"while fitting the model {name!r}"), located(part.fit), timed() as fit:
            fitted = clone(model).fit(part.fit.taken(), part.y_fit)
        with naming(f"while asking the model {name!r}"), located(part.judge), unreadable_rows(len(part.judge)) as unreadable:
            predicted, ask = timed_predictions(fitted, part.judge.taken())
        predictions.append(as_labels(predicted, len(part.judge), what=f"what the model {name!r} predicts"))
        fit_seconds.append(fit.seconds)
        predict_seconds += ask.seconds
        compile_seconds += fit.compile_seconds + ask.compile_seconds
        n_unreadable += len(unreadable)
    y_pred = np.concatenate(predictions)[np.argsort(np.concatenate([part.judge.rows for part in parts]))]
    mean_fit = None if isinstance(model, FrozenEstimator) else float(np.mean(fit_seconds))
    width = _width(fitted, parts[-1].judge.first())
    return Run(y_pred, mean_fit, predict_seconds, width, _size(fitted), n_unreadable, compile_seconds)


def is_network(model: Any) -> bool:
    """Whether the model or a step at any depth has the attribute ``network_kind``, "features" or "pixels"."""
    return bool(_network_kinds(model) & {"features", "pixels"})


def learns_from_pixels(model: Any) -> bool:
    """Whether the model or a step has ``network_kind = "pixels"``: a network that is trained on pixels in many epochs."""
    return "pixels" in _network_kinds(model)


def _network_kinds(model: Any) -> set[str]:
    """The values of the attribute ``network_kind``; evaluation knows no classes of models."""
    steps = model.get_params(deep=True).values() if hasattr(model, "get_params") else ()
    kinds = (getattr(step, "network_kind", None) for step in (model, *steps))
    return {kind for kind in kinds if isinstance(kind, str)}


def _width(model: Any, one_image: Any) -> int | None:
    """The columns that the final classifier sees."""
    if isinstance(model, FrozenEstimator):
        return _width(model.estimator, one_image)
    if hasattr(model, "best_estimator_"):
        return _width(model.best_estimator_, one_image)
    if not isinstance(model, Pipeline):
        return _columns(model)
    found = _columns(model[-1])
    if found is not None or len(model) < 2:
        return found
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            codes = model[:-1].transform(one_image)
    except Exception:  # a missing figure must not cost the comparison, which has been computed by now
        return None
    return int(codes.shape[1]) if len(getattr(codes, "shape", ())) == 2 else None


def _columns(model: Any) -> int | None:
    found = getattr(model, "n_features_in_", None)
    return None if found is None else int(found)


def _size(model: Any) -> int | None:
    try:
        return model_bytes(model)
    except FeatrecError:
        return None
