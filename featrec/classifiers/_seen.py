"""What a fitted model computes for images: codes, scores of the classes, and labels, with the features computed once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.sparse import issparse
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import Pipeline

from featrec.bag import Bag
from featrec.base import is_search
from featrec.exceptions import InputError
from featrec.lazy import Bags, LazySequence, current_position
from featrec.pairwise import HistogramKernel

__all__ = ["Seen", "codes_of", "seen_by"]

# Smallest probability; some classifiers, such as nearest neighbours, return probabilities of 0.
LEAST = 1e-6
# Attributes in which Augmented, PredictAugmented, Calibrated and other wrappers store the fitted model.
INNER = ("model_", "estimator_", "estimator")


@dataclass(frozen=True, eq=False)
class Seen:
    """What a model computes for n images.

    Attributes
    ----------
    scores : array of shape (n, n_classes)
        Decision values, or logarithms of probabilities.
    labels : array of shape (n,)
        The predictions of the model.
    codes : array or sparse matrix of shape (n, width), or None
        The codes that the classifier sees; None if the model has no codes, as networks that take pixels.
    empty : array of shape (n,), bool
        Whether an image has too few local features, or a code that is zero.
    """

    scores: np.ndarray
    labels: np.ndarray
    codes: Any
    empty: np.ndarray


class _Counter:
    """A step of lazy Bags that notes the number of descriptors of each image, except descriptors of zeros.

    In worker processes, the notes are lost; then only codes of zeros are found.
    """

    def __init__(self) -> None:
        self.counts: dict[int, int] = {}

    def __call__(self, bag: Bag) -> Bag:
        position = current_position()
        if position is not None:
            self.counts[position] = int(np.count_nonzero(bag.descriptors.any(axis=1)))
        return bag

    def few(self, bags: Bags, least: int) -> np.ndarray:
        """Return whether each image has fewer descriptors than `least`."""
        return np.array([self.counts.get(position, least) < least for position in bags.positions.tolist()], bool)


def seen_by(model: Any, X: Any, min_features: int = 1) -> Seen:
    """Return scores, labels and codes. For a Pipeline, the features are computed once.

    If the Pipeline is inside a wrapper that changes its scores, such as Calibrated or Augmented, they are computed twice.
    """
    steps, head = _steps(_without_shell(model))
    if steps:
        given, codes, empty = _described(steps, X, min_features)
        return Seen(class_scores(head, given), np.asarray(head.predict(given)), codes, empty)
    scores, labels = class_scores(model, X), np.asarray(model.predict(X))
    codes, zero = codes_of(model, X, min_features)
    return Seen(scores, labels, codes, np.zeros(len(labels), bool) if zero is None else zero)


def codes_of(model: Any, X: Any, min_features: int = 1) -> tuple[Any, np.ndarray | None]:
    """Return the codes of images, and whether each has too few features; (None, None) if the model has no codes."""
    steps, head = _steps(_without_shell(model))
    if steps:
        _, codes, empty = _described(steps, X, min_features)
        return codes, empty
    inner = next((getattr(head, name) for name in INNER if hasattr(getattr(head, name, None), "predict")), None)
    if inner is not None:
        return codes_of(inner, X, min_features)
    given = X if issparse(X) or hasattr(X, "iloc") or _holds_images(X) else np.asarray(X)
    return (given, _zero_rows(given)) if _is_table(given) else (None, None)


def _holds_images(X: Any) -> bool:
    """Return whether X is lazy, or a list of anything but numbers, so that it must not be converted to an array."""
    lazy = isinstance(X, LazySequence) or getattr(X, "holds_images", False)
    return lazy or (isinstance(X, (list, tuple)) and bool(X) and not isinstance(X[0], (list, tuple)) and np.ndim(X[0]) != 1)


def class_scores(model: Any, X: Any) -> np.ndarray:
    """Return logarithms of the probabilities of a model if it has any, otherwise its decision values; one column per class."""
    if hasattr(model, "predict_proba"):
        return np.log(np.maximum(np.asarray(model.predict_proba(X), np.float64), LEAST))
    if not hasattr(model, "decision_function"):
        raise InputError(
            f"RejectUnknown: {type(model).__name__} has neither predict_proba nor decision_function, so it has no confidence"
        )
    found = np.asarray(model.decision_function(X), np.float64)
    return np.column_stack([np.zeros(len(found)), found]) if found.ndim == 1 else found


def _without_shell(model: Any) -> Any:
    """Return the fitted model inside a search or a FrozenEstimator, which do not change its scores."""
    while True:
        if is_search(model) and hasattr(model, "best_estimator_"):
            model = model.best_estimator_
        elif isinstance(model, FrozenEstimator):
            model = model.estimator
        else:
            return model


def _steps(model: Any) -> tuple[list, Any]:
    """Return the transformers of a Pipeline and its classifier; a Pipeline as the last step is taken apart as well."""
    steps: list = []
    while isinstance(model, Pipeline):
        steps += [step for _, step in model.steps[:-1] if step is not None and not isinstance(step, str)]
        model = model.steps[-1][1]
    return steps, model


def _described(steps: list, X: Any, min_features: int) -> tuple[Any, Any, np.ndarray]:
    """Return what the classifier takes, the codes (before a kernel), and whether each image has too few features.

    Codes are zero or not before they are scaled.
    """
    codes: Any = None
    empty, counter, bags = np.zeros(0, bool), _Counter(), None
    for step in steps:
        X = step.transform(X)
        if isinstance(X, Bags) and bags is None:
            bags = X
            X = X.then(counter)
        elif _is_table(X):
            empty = _zero_rows(X) if codes is None else empty
            codes = codes if isinstance(step, HistogramKernel) else X
    empty = np.zeros(len(X), bool) if codes is None else empty
    return X, codes, empty if bags is None else empty | counter.few(bags, min_features)


def _is_table(X: Any) -> bool:
    """Return whether X has one row of numbers per image."""
    if issparse(X):
        return True
    return hasattr(X, "columns") or (isinstance(X, np.ndarray) and X.ndim == 2 and X.dtype.kind in "fiub")


def _zero_rows(X: Any) -> np.ndarray:
    return ~np.asarray((X != 0).sum(axis=1) if issparse(X) else np.asarray(X).any(axis=1)).ravel().astype(bool)
