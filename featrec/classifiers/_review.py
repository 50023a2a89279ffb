"""Codes and scores that a model computes for images, which images are empty, and the answers of RejectUnknown (Review)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from scipy.sparse import issparse
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import Pipeline

from featrec.bag import Bag
from featrec.base import is_search
from featrec.exceptions import InputError
from featrec.lazy import Bags, LazySequence, current_position
from featrec.pairwise import HistogramKernel

if TYPE_CHECKING:
    from pandas import DataFrame

__all__ = ["NONE_OF_THEM", "TOO_LITTLE", "Answers", "Review", "Seen", "codes_of", "label_for_unknown", "reviewed", "seen_by"]


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
    """Return logarithms of the probabilities of a model if it has any, otherwise its decision values; one column per class.

    Of two classes, both columns contain half of the decision value, once with the other sign. Their difference is the value.
    """
    if hasattr(model, "predict_proba"):
        return np.log(np.maximum(np.asarray(model.predict_proba(X), np.float64), LEAST))
    if not hasattr(model, "decision_function"):
        raise InputError(
            f"RejectUnknown: {type(model).__name__} has neither predict_proba nor decision_function, so it has no confidence"
        )
    found = np.asarray(model.decision_function(X), np.float64)
    return np.column_stack([-found / 2, found / 2]) if found.ndim == 1 else found


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


NONE_OF_THEM = "none of the known classes"
TOO_LITTLE = "too little to see"


@dataclass(frozen=True, eq=False)
class Review:
    """Result of :meth:`RejectUnknown.review`, with one entry for each image.

    Attributes
    ----------
    labels : array of shape (n,)
        The class, or `unknown_label` for a rejected image, as from ``predict``.
    most_likely : array of shape (n,)
        The class that the model alone predicts.
    confidences : array of shape (n,)
        Calibrated probability of `most_likely`.
    probabilities : array of shape (n, n_classes)
        Calibrated probability of each known class, in the order of ``classes_``.
    novelties : array of shape (n,)
        Greater for images that are less like the training images; see :meth:`RejectUnknown.novelty`.
    accepted : array of shape (n,), bool
    reasons : tuple of str or None
        Why an image is rejected: "none of the known classes", or "too little to see" if it has no local features. None for
        accepted images.
    sets : tuple of tuples, or None
        For ``method="conformal"``, the classes that are possible for each image, the most likely class first.
    """

    labels: np.ndarray
    most_likely: np.ndarray
    confidences: np.ndarray
    probabilities: np.ndarray
    novelties: np.ndarray
    accepted: np.ndarray
    reasons: tuple[str | None, ...]
    sets: tuple[tuple, ...] | None

    def __len__(self) -> int:
        return len(self.labels)

    def to_frame(self) -> DataFrame:
        """Return a DataFrame with one row per image. Needs pandas."""
        import pandas

        columns = {name: getattr(self, name) for name in ("labels", "most_likely", "confidences", "novelties", "accepted")}
        columns["reasons"] = np.array(self.reasons, dtype=object)
        if self.sets is not None:
            columns["sets"] = [list(one) for one in self.sets]
        return pandas.DataFrame(columns)


class Answers(NamedTuple):
    """What is known about n images: labels of the model, probabilities, novelties, and for sets, which classes are possible."""

    labels: np.ndarray
    shares: np.ndarray
    novelty: np.ndarray
    is_new: np.ndarray
    is_empty: np.ndarray
    members: np.ndarray | None


def reviewed(answers: Answers, classes: np.ndarray, unknown: Any) -> Review:
    """Return the labels of accepted images, and the reasons for the others."""
    labels, shares, novelty, is_new, is_empty, members = answers
    accepted = ~(is_new | is_empty)
    reasons = [TOO_LITTLE if empty else NONE_OF_THEM if new else None for empty, new in zip(is_empty, is_new, strict=True)]
    known = labels if members is None else _within_sets(labels, shares, members, classes)
    return Review(
        labels=_with_unknown(known, accepted, unknown),
        most_likely=labels,
        confidences=shares[np.arange(len(shares)), np.searchsorted(classes, labels)],
        probabilities=shares,
        novelties=novelty,
        accepted=accepted,
        reasons=tuple(reasons),
        sets=None if members is None else _sets(shares, members, classes),
    )


def label_for_unknown(wanted: Any, classes: np.ndarray) -> Any:
    """Return the label of rejected images: the wanted one, or the default for labels of this type."""
    label = (-1 if classes.dtype.kind in "iuf" else "unknown") if wanted is None else wanted
    if label in classes.tolist():
        raise InputError(f"RejectUnknown: {label!r} is a class of the training images; set unknown_label to another label")
    return label


def _sets(shares: np.ndarray, members: np.ndarray, classes: np.ndarray) -> tuple[tuple, ...]:
    order, names = np.argsort(-shares, axis=1, kind="stable"), classes.tolist()
    rows = zip(order, members, strict=True)
    return tuple(tuple(names[column] for column in row if inside[column]) for row, inside in rows)


def _within_sets(labels: np.ndarray, shares: np.ndarray, members: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """Replace a label that is not in its set by the most likely class of the set; empty sets keep their label."""
    outside = ~members[np.arange(len(labels)), np.searchsorted(classes, labels)] & members.any(axis=1)
    return np.where(outside, classes[np.where(members, shares, -1.0).argmax(axis=1)], labels)


def _with_unknown(labels: np.ndarray, accepted: np.ndarray, unknown: Any) -> np.ndarray:
    """Return the labels, with another label for rejected images. Numbers stay numbers, and strings stay strings."""
    other = np.asarray(unknown)
    alike = labels.dtype.kind == other.dtype.kind or (labels.dtype.kind in "iuf" and other.dtype.kind in "iuf")
    found = labels.astype(np.result_type(labels, other) if alike else object)
    found[~accepted] = unknown
    return found
