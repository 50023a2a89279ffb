"""evaluate: judge one fitted model."""

from __future__ import annotations

import warnings
from contextlib import suppress
from numbers import Real
from typing import Any

import numpy as np

from featrec.compilation import Spent, timed
from featrec.evaluation._labels import all_classes, as_labels, count_items, take
from featrec.evaluation._measures import balanced_accuracy, class_measures, confusion_counts, wilson_interval
from featrec.evaluation._preflight import refuse_no_model
from featrec.evaluation._report import GroupAccuracy, Report
from featrec.exceptions import InputError
from featrec.lazy import Failures, unreadable_rows

__all__ = ["check_confidence", "count_dropped", "evaluate", "timed_predictions"]


def evaluate(model: Any, X: Any, y: Any, *, groups: Any = None, confidence: float = 0.95) -> Report:
    """Judge a fitted model on images that it has not learned from. Nothing is fitted.

    Parameters
    ----------
    model : anything with ``predict``
    X : images
        Whatever the model's ``predict`` takes.
    y : array-like of shape (n,)
        True labels, strings or whole numbers. Images with a label that the model does not know count as errors.
    groups : array-like of shape (n,), optional
        For an accuracy of each group as well: photographers, cameras, years.
    confidence : float, default=0.95
        Of the intervals.

    Returns
    -------
    Report

    Raises
    ------
    InputError
        Where labels are missing, of mixed kinds, or not as many as the images.

    Notes
    -----
    The time is that of one call of ``predict`` with all images, after a call with the first one alone, which loads what
    the model compiles. The intervals take the images as independent; frames of one film are not.

    Examples
    --------
    >>> from sklearn.neighbors import NearestCentroid
    >>> from featrec.evaluation import evaluate
    >>> model = NearestCentroid().fit([[0], [1], [9]], ["cat", "cat", "dog"])
    >>> report = evaluate(model, [[0], [8], [6]], ["cat", "dog", "cat"])
    >>> report.accuracy, report.confusion.tolist()
    (0.67, [[1, 1], [0, 1]])
    """
    check_confidence(confidence)
    refuse_no_model(model, "the model")
    n = count_items(X)
    if n == 0:
        raise InputError("evaluate needs one image at least; got none")
    y_true = as_labels(y, n, what="y")
    groups = None if groups is None else as_labels(groups, n, what="groups")
    with unreadable_rows(n) as unreadable:
        predicted, spent = timed_predictions(model, X)
    y_pred = as_labels(predicted, n, what="what the model predicts")
    failed = np.isin(np.arange(n), list(unreadable))
    return _report(y_true, y_pred, _known_classes(model), groups, spent, confidence, failed, count_dropped(X))


def count_dropped(*folders: Any) -> int:
    """How many damaged files were left out of the folders that hold the images; halves of one may share their list."""
    lists = {id(folder.dropped): folder.dropped for folder in folders if isinstance(getattr(folder, "dropped", None), Failures)}
    return sum(map(len, lists.values()))


def check_confidence(confidence: float) -> None:
    """A share strictly between 0 and 1."""
    if not isinstance(confidence, Real) or not 0 < confidence < 1:
        raise InputError(f"confidence lies between 0 and 1, such as 0.95; got {confidence!r}")


def timed_predictions(model: Any, X: Any) -> tuple[Any, Spent]:
    """Predictions and the seconds they took, once what the model compiles has been loaded by a first image."""
    if not hasattr(model, "predict"):
        raise InputError(f"a model with predict is expected; got {type(model).__name__}")
    with timed() as first:
        if count_items(X) > 1:
            # What goes wrong here goes wrong again below, with all images in sight.
            with warnings.catch_warnings(), suppress(Exception):
                warnings.simplefilter("ignore")
                model.predict(take(X, np.arange(1)))
    with timed() as spent:
        predicted = model.predict(X)
    spent.compile_seconds += first.compile_seconds
    return predicted, spent


def _known_classes(model: Any) -> np.ndarray | None:
    classes = getattr(model, "classes_", None)
    return None if classes is None else as_labels(classes, len(classes), what="the model's classes_")


def _report(
    y_true: np.ndarray,
    y_pred: np.ndarray,
    known: np.ndarray | None,
    groups: np.ndarray | None,
    spent: Spent,
    confidence: float,
    failed: np.ndarray,
    n_dropped: int,
) -> Report:
    n = len(y_true)
    classes = all_classes([y_true, y_pred] if known is None else [known, y_true, y_pred])
    confusion = confusion_counts(y_true, y_pred, classes)
    measures = class_measures(confusion)
    n_right = int(np.trace(confusion))
    return Report(
        accuracy=n_right / n,
        interval=wilson_interval(n_right, n, confidence),
        balanced_accuracy=balanced_accuracy(measures),
        classes=classes,
        **measures._asdict(),
        confusion=confusion,
        n=n,
        predict_seconds=spent.seconds,
        images_per_second=n / max(spent.seconds, 1e-9),
        compile_seconds=spent.compile_seconds,
        confidence=confidence,
        unseen=() if known is None else tuple(np.setdiff1d(y_true, known).tolist()),
        groups=() if groups is None else _by_group(y_true == y_pred, groups, confidence),
        y_true=y_true,
        y_pred=y_pred,
        n_unreadable=int(failed.sum()),
        unreadable=np.array([np.count_nonzero(failed & (y_true == name)) for name in classes]),
        n_dropped=n_dropped,
    )


def _by_group(right: np.ndarray, groups: np.ndarray, confidence: float) -> tuple[GroupAccuracy, ...]:
    found = []
    for group in np.unique(groups):
        inside = right[groups == group]
        n_right, n = int(inside.sum()), len(inside)
        found.append(GroupAccuracy(group.item(), n, n_right / n, wilson_interval(n_right, n, confidence)))
    return tuple(found)
