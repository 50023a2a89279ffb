"""evaluate and Report: evaluation of one fitted model on labelled images."""

from __future__ import annotations

import warnings
from contextlib import suppress
from dataclasses import dataclass
from numbers import Real
from typing import TYPE_CHECKING, Any

import numpy as np

from featrec.compilation import Spent, timed
from featrec.evaluation._given import all_classes, count_items, refuse_no_model, take
from featrec.evaluation._measures import balanced_accuracy, class_measures, confusion_counts, most_confused, wilson_interval
from featrec.evaluation._result import Result, Table, frame, number, paragraphs, percent, percent_range
from featrec.exceptions import InputError
from featrec.labels import as_labels
from featrec.lazy import Failures, unreadable_rows

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from pandas import DataFrame

__all__ = ["GroupAccuracy", "Report", "check_confidence", "count_dropped", "evaluate", "timed_predictions"]

MAX_CLASSES_SHOWN = 30
MAX_CONFUSED_SHOWN = 5
FEW_IMAGES = 30


@dataclass(frozen=True)
class GroupAccuracy:
    """The accuracy on one group of images.

    Attributes
    ----------
    group : str or int
    n : int
    accuracy : float
    interval : tuple of (low, high)
        Wilson interval.
    """

    group: Any
    n: int
    accuracy: float
    interval: tuple[float, float]


@dataclass(frozen=True, eq=False, repr=False)
class Report(Result):
    """Result of :func:`evaluate`. Proportions are between 0 and 1.

    Attributes
    ----------
    accuracy : float
    interval : tuple of (low, high)
        Wilson interval of the accuracy.
    balanced_accuracy : float
        Mean recall of the classes that occur in y.
    classes : array of shape (n_classes,)
        All classes of the model, of y and of the predictions, sorted.
    precision, recall, f1 : arrays of shape (n_classes,)
        Measures of each class, 0 if the denominator is 0. For example, a class that is never predicted has precision 0.
    support : array of shape (n_classes,)
        Number of images of each class.
    confusion : array of shape (n_classes, n_classes)
        Number of images; rows are true classes, columns are predicted classes.
    n : int
    predict_seconds, images_per_second : float
    confidence : float
        Confidence level of the intervals.
    unseen : tuple
        Labels in y that are not classes of the model. Their images count as errors.
    groups : tuple of GroupAccuracy
        Empty if no groups were given.
    y_true, y_pred : arrays of shape (n,)
    n_unreadable : int
        Number of the `n` images that could not be read. With ``on_error="empty"``, the model guesses their labels, and all
        figures include the guesses.
    unreadable : array of shape (n_classes,)
        Number of unreadable images of each true class.
    n_dropped : int
        Number of damaged files that ``ImageFolder(on_error="drop")`` left out; the `n` images do not include them.
    compile_seconds : float
        Time spent compiling, which happens once per machine. No other time includes it.
    """

    accuracy: float
    interval: tuple[float, float]
    balanced_accuracy: float
    classes: np.ndarray
    precision: np.ndarray
    recall: np.ndarray
    f1: np.ndarray
    support: np.ndarray
    confusion: np.ndarray
    n: int
    predict_seconds: float
    images_per_second: float
    confidence: float
    unseen: tuple
    groups: tuple[GroupAccuracy, ...]
    y_true: np.ndarray
    y_pred: np.ndarray
    n_unreadable: int
    unreadable: np.ndarray
    n_dropped: int
    compile_seconds: float = 0.0

    def most_confused(self, n_pairs: int = MAX_CONFUSED_SHOWN) -> list[tuple[Any, Any, int]]:
        """Return the most frequent errors.

        Parameters
        ----------
        n_pairs : int, default=5
            Maximum number of pairs of classes.

        Returns
        -------
        pairs : list of (true class, predicted class, count)
        """
        names = self.classes.tolist()
        return [(names[i], names[j], count) for i, j, count in most_confused(self.confusion, n_pairs)]

    def __str__(self) -> str:
        parts = [self._headline(), self._class_table().plain(), self._confused_lines()]
        if self.groups:
            parts.append(self._group_table().plain())
        return "\n\n".join(filter(None, [*parts, "\n".join(self._notes())]))

    def _repr_html_(self) -> str:
        groups = self._group_table().html() if self.groups else ""
        return f"{paragraphs([self._headline()])}{self._class_table().html()}{groups}{paragraphs(self._notes())}"

    def to_frame(self) -> DataFrame:
        """Return a DataFrame with precision, recall, F1, support and unreadable images of each class. Needs pandas."""
        names = ("precision", "recall", "f1", "support", "unreadable")
        return frame({name: getattr(self, name) for name in names}, index=self.classes)

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the confusion matrix in percent of the true classes. Needs matplotlib."""
        from featrec.plotting import plot_confusion_matrix

        return plot_confusion_matrix(self.confusion, self.classes.tolist(), ax=ax)

    def _headline(self) -> str:
        return (
            f"accuracy {percent(self.accuracy)} % ({100 * self.confidence:g} % interval {percent_range(self.interval)}), "
            f"balanced {percent(self.balanced_accuracy)} %, {self.n:,} images of {np.count_nonzero(self.support)} classes, "
            f"{number(self.images_per_second)} images/s"
        )

    def _class_table(self) -> Table:
        shown = np.arange(len(self.classes))
        if len(shown) > MAX_CLASSES_SHOWN:
            shown = np.sort(np.argsort(self.f1, kind="stable")[:MAX_CLASSES_SHOWN])
        measures = np.stack([self.precision, self.recall, self.f1], axis=1)
        rows = [[str(self.classes[i]), *map(percent, measures[i]), f"{self.support[i]:,}"] for i in shown]
        return Table(["class", "precision", "recall", "F1", "images"], rows)

    def _confused_lines(self) -> str:
        support = dict(zip(self.classes.tolist(), self.support.tolist(), strict=True))
        lines = [f"  {true} predicted as {other}: {count} of {support[true]}" for true, other, count in self.most_confused()]
        return "\n".join(["most frequent errors", *lines]) if lines else ""

    def _group_table(self) -> Table:
        rows = [
            [str(group.group), percent(group.accuracy), percent_range(group.interval), f"{group.n:,}"] for group in self.groups
        ]
        return Table(["group", "accuracy", f"{100 * self.confidence:g} % interval", "images"], rows)

    def _notes(self) -> list[str]:
        """Return remarks that help to interpret the figures."""
        notes = []
        if self.compile_seconds:
            notes.append(f"Compilation took another {number(self.compile_seconds)} s; it happens once per machine.")
        if self.n_unreadable:
            notes.append(
                f'{self.n_unreadable} of {self.n} images could not be read; the model guessed their labels (on_error="empty"), '
                "and the figures include these guesses."
            )
        if self.n_dropped:
            notes.append(f'Damaged images that were left out (on_error="drop") and are not included: {self.n_dropped}.')
        if len(self.classes) > MAX_CLASSES_SHOWN:
            notes.append(f"The table shows the {MAX_CLASSES_SHOWN} of {len(self.classes)} classes with the lowest F1.")
        if self.unseen:
            count = int(np.isin(self.y_true, self.unseen).sum())
            names = ", ".join(map(str, self.unseen))
            notes.append(f"{count} images have labels that the model does not know and count as errors: {names}.")
        predicted, known = self.confusion.sum(axis=0), ~np.isin(self.classes, self.unseen)
        never = self.classes[known & (predicted == 0) & (self.support > 0)]
        if len(never):
            notes.append(f"Never predicted, so the precision is set to 0: {', '.join(map(str, never[:10]))}.")
        few = [str(group.group) for group in self.groups if group.n < FEW_IMAGES]
        if few:
            notes.append(f"The accuracy of groups with fewer than {FEW_IMAGES} images is uncertain: {', '.join(few)}.")
        return notes


def evaluate(model: Any, X: Any, y: Any, *, groups: Any = None, confidence: float = 0.95) -> Report:
    """Evaluate a fitted model on images that it was not fitted on. Nothing is fitted.

    Parameters
    ----------
    model : object with ``predict``
    X : images
        Anything that the model's ``predict`` accepts.
    y : array-like of shape (n,)
        True labels, strings or integers. Images whose label is not a class of the model count as errors.
    groups : array-like of shape (n,), optional
        Group of each image, such as its photographer, camera or year. The report contains the accuracy on each group.
    confidence : float, default=0.95
        Confidence level of the intervals.

    Returns
    -------
    Report

    Raises
    ------
    InputError
        If labels are missing or have mixed types, or if their number differs from the number of images.

    Notes
    -----
    The measured time is the time of one call of ``predict`` with all images. An earlier call with a single image loads compiled
    code. The intervals assume independent images, but frames of one film, for example, are not independent.

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
        raise InputError("evaluate needs at least one image; got none")
    y_true = as_labels(y, n, what="y")
    groups = None if groups is None else as_labels(groups, n, what="groups")
    with unreadable_rows(n) as unreadable:
        predicted, spent = timed_predictions(model, X)
    y_pred = as_labels(predicted, n, what="the prediction of the model")
    classes, unseen = _classes(model, y_true, y_pred)
    confusion = confusion_counts(y_true, y_pred, classes)
    measures = class_measures(confusion)
    n_right = int(np.trace(confusion))
    failed = np.isin(np.arange(n), list(unreadable))
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
        unseen=unseen,
        groups=() if groups is None else _by_group(y_true == y_pred, groups, confidence),
        y_true=y_true,
        y_pred=y_pred,
        n_unreadable=int(failed.sum()),
        unreadable=np.array([np.count_nonzero(failed & (y_true == name)) for name in classes]),
        n_dropped=count_dropped(X),
    )


def count_dropped(*folders: Any) -> int:
    """Count the damaged files that were dropped from folders. A list that two parts of a folder share counts once."""
    lists = {id(folder.dropped): folder.dropped for folder in folders if isinstance(getattr(folder, "dropped", None), Failures)}
    return sum(map(len, lists.values()))


def check_confidence(confidence: float) -> None:
    if not isinstance(confidence, Real) or not 0 < confidence < 1:
        raise InputError(f"confidence must be between 0 and 1, such as 0.95; got {confidence!r}")


def timed_predictions(model: Any, X: Any) -> tuple[Any, Spent]:
    """Return the predictions and their time. Before the measurement, the model predicts one image, to load compiled code."""
    if not hasattr(model, "predict"):
        raise InputError(f"expected a model with predict; got {type(model).__name__}")
    with timed() as first:
        if count_items(X) > 1:
            # An error is ignored here, because it occurs again below with all images.
            with warnings.catch_warnings(), suppress(Exception):
                warnings.simplefilter("ignore")
                model.predict(take(X, np.arange(1)))
    with timed() as spent:
        predicted = model.predict(X)
    spent.compile_seconds += first.compile_seconds
    return predicted, spent


def _classes(model: Any, y_true: np.ndarray, y_pred: np.ndarray) -> tuple[np.ndarray, tuple]:
    """Return all classes, and the labels in `y_true` that are not classes of the model."""
    known = getattr(model, "classes_", None)
    if known is None:
        return all_classes([y_true, y_pred]), ()
    known = as_labels(known, len(known), what="the model's classes_")
    return all_classes([known, y_true, y_pred]), tuple(np.setdiff1d(y_true, known).tolist())


def _by_group(right: np.ndarray, groups: np.ndarray, confidence: float) -> tuple[GroupAccuracy, ...]:
    found = []
    for group in np.unique(groups):
        inside = right[groups == group]
        n_right, n = int(inside.sum()), len(inside)
        found.append(GroupAccuracy(group.item(), n, n_right / n, wilson_interval(n_right, n, confidence)))
    return tuple(found)
