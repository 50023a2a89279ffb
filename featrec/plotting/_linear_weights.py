"""Weights of linear models, carried back through scalers and projections to the columns that an extractor returns."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from sklearn.pipeline import Pipeline

from featrec.exceptions import InputError

__all__ = ["LinearModel", "bags_part", "inner_model", "linear_model", "linear_part", "steps_of"]

CLASSIFIERS = "LinearSVC, LogisticRegression, RidgeClassifier, LinearDiscriminantAnalysis, WideLinearSVC or WideRidge"


# Estimators that store a fitted model in `model_`. They are known by name, because plotting imports no classifier.
WRAPPERS = frozenset({"Augmented", "PredictAugmented", "RejectUnknown"})


class LinearModel(NamedTuple):
    """What stands before the linear part of a model, and the weights of the linear part."""

    before: list[Any]
    weights: np.ndarray  # (n_classes, width)
    classes: np.ndarray


def inner_model(model: Any) -> Any:
    """Return the model inside a fitted search, FrozenEstimator, Augmented, PredictAugmented or RejectUnknown."""
    if hasattr(model, "best_estimator_"):
        return inner_model(model.best_estimator_)
    if type(model).__name__ in WRAPPERS and hasattr(model, "model_"):
        return inner_model(model.model_)
    return inner_model(model.estimator) if type(model).__name__ == "FrozenEstimator" else model


def steps_of(model: Any) -> list[Any]:
    """Return the steps of a pipeline, of pipelines inside it too; any other estimator is one step."""
    model = inner_model(model)
    if not hasattr(model, "steps"):
        return [model]
    return [inner for _, step in model.steps if step is not None and step != "passthrough" for inner in steps_of(step)]


def bags_part(model: Any) -> Any:
    """Return the part of a pipeline before its encoder; a model without an encoder is returned unchanged."""
    steps = steps_of(model)
    for place, step in enumerate(steps):
        if place and (hasattr(step, "vocabulary") or hasattr(step, "encoder")):
            return Pipeline([(str(i), before) for i, before in enumerate(steps[:place])])
    return model


def linear_model(model: Any, extractor: type | None, display: str) -> LinearModel:
    """Return the weights of the classes on the columns of an extractor, or on the model's own input if `extractor` is None.

    The last step must be a linear classifier. Between it and the extractor, there may be scalers and projections. Normalizer
    divides each image by a number of its own, which does not change the proportions of weights; it is skipped.
    """
    steps = steps_of(model)
    places = [place for place, step in enumerate(steps) if extractor is not None and isinstance(step, extractor)]
    if extractor is not None and not places:
        name = extractor.__name__
        raise InputError(f"{display} needs a pipeline with {name} before the classifier; got {type(model).__name__}")
    return linear_part(steps, 1 + places[-1] if places else 0, display)


def linear_part(steps: list[Any], first: int, display: str) -> LinearModel:
    """Return the weights on the input of step number `first`, from which all steps must be linear."""
    weights, classes = _head(steps[-1], display)
    for step in reversed(steps[first:-1]):
        weights = _through(step, weights, display)
    return LinearModel(steps[:first], weights, classes)


def _head(model: Any, display: str) -> tuple[np.ndarray, np.ndarray]:
    """Return one row of weights for each class."""
    if hasattr(model, "calibrated_classifiers_"):
        parts = [_head(inner_model(each.estimator), display) for each in model.calibrated_classifiers_]
        return np.mean([weights for weights, _ in parts], axis=0), model.classes_
    classes = getattr(model, "classes_", None)
    weights = _one_against_rest(model) if hasattr(model, "estimators_") else getattr(model, "coef_", None)
    if weights is None or classes is None:
        raise InputError(f"{display} needs a fitted linear classifier: {CLASSIFIERS}; got {type(model).__name__}")
    dense = weights.toarray() if hasattr(weights, "toarray") else weights
    rows = np.atleast_2d(np.asarray(dense, np.float64))
    if len(rows) == 1 and len(classes) == 2:
        rows = np.concatenate([-rows, rows])
    if len(rows) != len(classes) or hasattr(model, "_num_coef"):
        raise InputError(
            f"{display} needs one row of weights for each of the {len(classes)} classes; {type(model).__name__} has "
            f"{len(rows)}. SVC compares pairs of classes; use {CLASSIFIERS}."
        )
    return rows, np.asarray(classes)


def _one_against_rest(model: Any) -> np.ndarray | None:
    """Return the weights of the classifiers inside OneVsRestClassifier."""
    rows = [getattr(inner, "coef_", None) for inner in model.estimators_]
    return None if any(row is None for row in rows) else np.concatenate([np.atleast_2d(np.asarray(row)) for row in rows])


def _through(step: Any, weights: np.ndarray, display: str) -> np.ndarray:
    """Return the weights on the input of a linear step, given the weights on its output."""
    name = type(step).__name__
    if name == "Normalizer":
        return weights
    if hasattr(step, "components_") and hasattr(step, "transform"):
        scales = np.asarray(getattr(step, "scales_", 1.0), np.float64)
        if getattr(step, "whiten", False):
            scales = 1 / np.sqrt(np.maximum(step.explained_variance_, np.finfo(float).tiny))
        return (weights * scales) @ np.asarray(step.components_, np.float64)
    if hasattr(step, "scale_") and name in ("StandardScaler", "WideScaler", "RobustScaler", "MaxAbsScaler", "MinMaxScaler"):
        scale = np.asarray(step.scale_ if step.scale_ is not None else 1.0, np.float64)
        constant = scale == 0  # WideScaler gives zeros for such columns
        inverse = np.where(constant, 0, 1 / np.where(constant, 1, scale))
        return weights * (scale if name == "MinMaxScaler" else inverse)
    raise InputError(
        f"{display} cannot carry weights back through {name}; between the extractor and the classifier, there may be scalers "
        "and projections such as StandardScaler, WideScaler, PCA and Normalizer"
    )
