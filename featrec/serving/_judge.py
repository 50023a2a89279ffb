"""Ask a fitted model about a batch of images: labels, confidences, most likely classes and rejections; with a copy for
each thread."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import Pipeline

from featrec.base import is_search
from featrec.evaluation import confidences_from, labels_of
from featrec.preprocessing import Augmented

__all__ = ["Judgement", "classes_of", "judge", "private_copy", "unwrapped"]


# Set in the copy: an unusable image must be an error, not a row of zeros; images of users must not reach a cache on disk; and a
# server prints no progress.
SET = {"on_error": "raise", "cache": None, "verbose": 0}
LISTS = (list, tuple)


def private_copy(model: Any) -> Any:
    """Copy the estimators of a model, but not their arrays.

    Some estimators store facts about the last batch (`failures_`). With one copy per thread, they do so on objects that no
    other thread sees.
    """
    return _copied(model, {})


def _copied(value: Any, seen: dict[int, Any]) -> Any:
    if id(value) in seen:
        return seen[id(value)]
    if _is_model(value):
        twin = seen[id(value)] = object.__new__(type(value))
        state = {name: _copied(each, seen) for name, each in vars(value).items()}
        vars(twin).update(state | {name: new for name, new in SET.items() if name in state})
        return twin
    if type(value) in LISTS and any(_holds_model(each) for each in value):
        return type(value)(_copied(each, seen) for each in value)
    if type(value) is dict and any(_holds_model(each) for each in value.values()):
        return {key: _copied(each, seen) for key, each in value.items()}
    return value


def _is_model(value: Any) -> bool:
    """Return whether this is an estimator, or an object such as those that scikit-learn's calibration keeps."""
    if isinstance(value, type) or not hasattr(value, "__dict__"):
        return False
    return isinstance(value, BaseEstimator) or hasattr(type(value), "predict_proba")


def _holds_model(value: Any) -> bool:
    return _is_model(value) or (type(value) in LISTS and any(map(_holds_model, value)))


@dataclass(frozen=True)
class Judgement:
    """What a model says about a batch; each field has one item per image.

    `scores` are the most likely classes with probabilities or scores. `sureness` is the largest probability, or the distance of
    the two largest scores. `codes` are the inputs of the classifier, if they are a matrix.
    """

    labels: list[Any]
    confidences: list[float | None]
    scores: list[tuple[tuple[Any, float], ...]]
    rejected: list[str | None]
    sureness: np.ndarray | None
    codes: np.ndarray | None


def judge(model: Any, images: list, top: int) -> Judgement:
    """Ask a model about decoded images. The features of an image are computed once."""
    model, given = unwrapped(model), images
    while isinstance(model, Pipeline) and not hasattr(model, "review"):
        for _, step in model.steps[:-1]:
            if step is not None and step != "passthrough":
                given = step.transform(given)
        model = unwrapped(model.steps[-1][1])
    codes = given if isinstance(given, np.ndarray) and given.ndim == 2 else None
    if hasattr(model, "review"):
        return _reviewed(model, given, top, codes)
    name = next((name for name in ("predict_proba", "decision_function") if hasattr(model, name)), None)
    values = None if name is None else _columns(np.asarray(getattr(model, name)(given)), model.classes_)
    labels = labels_of(model, values, given)
    probable = name == "predict_proba"
    confidences, best = _values_of(labels, values if probable else None, model), _best(values, model, top, len(labels))
    return Judgement(labels.tolist(), confidences, best, [None] * len(labels), confidences_from(values, probable), codes)


def unwrapped(model: Any) -> Any:
    """Return the model that decides inside a search, a frozen model, or an augmented one that predicts from one view."""
    while True:
        if is_search(model):
            model = model.best_estimator_
        elif isinstance(model, FrozenEstimator):
            model = model.estimator
        elif isinstance(model, Augmented) and not model.views:
            model = model.model_
        else:
            return model


def classes_of(model: Any) -> list[Any]:
    """Return the classes of a model; empty if it does not list them."""
    return np.asarray(getattr(model, "classes_", [])).tolist()


def _columns(values: np.ndarray, classes: Any) -> np.ndarray | None:
    """Return one column per class, or None for other scores, such as those of pairs of classes."""
    if values.ndim == 1:
        values = np.column_stack([-values, values])
    return values if values.ndim == 2 and values.shape[1] == len(classes) else None


def _values_of(labels: np.ndarray, values: np.ndarray | None, model: Any) -> list[float | None]:
    if values is None:
        return [None] * len(labels)
    columns = np.searchsorted(model.classes_, labels)
    return values[np.arange(len(labels)), columns].tolist()


def _best(values: np.ndarray | None, model: Any, top: int, n: int) -> list[tuple[tuple[Any, float], ...]]:
    if values is None or top < 1:
        return [()] * n
    best = np.argsort(-values, axis=1, kind="stable")[:, :top]
    names = np.asarray(model.classes_)[best].tolist()
    scores = np.take_along_axis(values, best, axis=1).tolist()
    return [tuple(zip(*row, strict=True)) for row in zip(names, scores, strict=True)]


def _reviewed(model: Any, given: Any, top: int, codes: np.ndarray | None) -> Judgement:
    """Ask a model that can reject images."""
    found = model.review(given)
    labels = np.asarray(found.labels)
    confidences = [None if value is None or value != value else float(value) for value in found.confidences]
    reasons = [
        None if accepted else str(reason or "rejected") for accepted, reason in zip(found.accepted, found.reasons, strict=True)
    ]
    values = getattr(found, "probabilities", None)
    if values is None and top > 1 and hasattr(model, "predict_proba"):
        values = model.predict_proba(given)
    values = None if values is None else _columns(np.asarray(values), model.classes_)
    best = _best(values, model, top, len(labels))
    return Judgement(labels.tolist(), confidences, best, reasons, confidences_from(values, True), codes)
