"""Report: what one fitted model is worth."""

from __future__ import annotations

import os
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

import numpy as np

from featrec.evaluation._text import Table, as_json, frame, keep, number, percent, percent_range

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from pandas import DataFrame

__all__ = ["GroupAccuracy", "Report"]

MOST_CLASSES_SHOWN = 30
MOST_CONFUSED_SHOWN = 5
FEW_IMAGES = 30


@dataclass(frozen=True)
class GroupAccuracy:
    """The accuracy within one group of pictures.

    Attributes
    ----------
    group : str or int
    n : int
    accuracy : float
    interval : tuple of (low, high)
        Wilson's.
    """

    group: Any
    n: int
    accuracy: float
    interval: tuple[float, float]


@dataclass(frozen=True, eq=False, repr=False)
class Report:
    """What one fitted model is worth, as :func:`evaluate` finds it. Shares lie in [0, 1].

    Attributes
    ----------
    accuracy : float
    interval : tuple of (low, high)
        Wilson's interval of the accuracy.
    balanced_accuracy : float
        The mean recall of the classes that have examples.
    classes : array of shape (n_classes,)
        Those the model knows, those in y and those predicted, sorted.
    precision, recall, f1 : arrays of shape (n_classes,)
        0 where there is nothing to divide by: a class that is never predicted has precision 0.
    support : array of shape (n_classes,)
        True examples of each class.
    confusion : array of shape (n_classes, n_classes)
        Counts; rows are true classes, columns predicted ones.
    n : int
    predict_seconds, images_per_second : float
    confidence : float
        Of the intervals.
    unseen : tuple
        Labels in y that the model does not know; their pictures count as errors.
    groups : tuple of GroupAccuracy
        Empty where no groups were given.
    y_true, y_pred : arrays of shape (n,)
    n_unreadable : int
        Images among the `n` that could not be read: with ``on_error="empty"`` they are guessed, and the guesses are judged.
    unreadable : array of shape (n_classes,)
        The same for each true class.
    n_dropped : int
        Damaged files that ``ImageFolder(on_error="drop")`` left out before; they are not among the `n`.
    compile_seconds : float
        Of what was compiled in this process for the predictions, once on a machine; in no other figure.
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

    def most_confused(self, n_pairs: int = MOST_CONFUSED_SHOWN) -> list[tuple[Any, Any, int]]:
        """The commonest mistakes.

        Parameters
        ----------
        n_pairs : int, default=5

        Returns
        -------
        pairs : list of (true class, predicted class, count)
        """
        errors = self.confusion.copy()
        np.fill_diagonal(errors, 0)
        order = np.argsort(-errors, axis=None, kind="stable")[:n_pairs]
        pairs = zip(*np.unravel_index(order, errors.shape), strict=True)
        return [(self.classes[i].item(), self.classes[j].item(), int(errors[i, j])) for i, j in pairs if errors[i, j]]

    def __repr__(self) -> str:
        return str(self)

    def __str__(self) -> str:
        parts = [self._headline(), self._class_table().plain(), self._confused_lines()]
        if self.groups:
            parts.append(self._group_table().plain())
        return "\n\n".join(filter(None, [*parts, "\n".join(self._notes())]))

    def _repr_html_(self) -> str:
        groups = self._group_table().html() if self.groups else ""
        notes = "".join(f"<p>{note}</p>" for note in _escape(self._notes()))
        return f"<p>{self._headline()}</p>{self._class_table().html()}{groups}{notes}"

    def to_frame(self) -> DataFrame:
        """Precision, recall, F1, support and the images that could not be read, a row a class. Needs pandas."""
        names = ("precision", "recall", "f1", "support", "unreadable")
        return frame({name: getattr(self, name) for name in names}, index=self.classes)

    def to_json(self, path: str | os.PathLike | None = None) -> str:
        """All attributes as JSON; written to `path`, too, where one is given."""
        return keep(as_json({field.name: getattr(self, field.name) for field in fields(self)}), path)

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the confusion matrix, each row as shares of its class. Needs matplotlib."""
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
        if len(shown) > MOST_CLASSES_SHOWN:
            shown = np.sort(np.argsort(self.f1, kind="stable")[:MOST_CLASSES_SHOWN])
        measures = np.stack([self.precision, self.recall, self.f1], axis=1)
        rows = [[str(self.classes[i]), *map(percent, measures[i]), f"{self.support[i]:,}"] for i in shown]
        return Table(["class", "precision", "recall", "F1", "images"], rows)

    def _confused_lines(self) -> str:
        support = dict(zip(self.classes.tolist(), self.support.tolist(), strict=True))
        lines = [f"  {true} taken for {taken}: {count} of {support[true]}" for true, taken, count in self.most_confused()]
        return "\n".join(["most confused", *lines]) if lines else ""

    def _group_table(self) -> Table:
        rows = [
            [str(group.group), percent(group.accuracy), percent_range(group.interval), f"{group.n:,}"] for group in self.groups
        ]
        return Table(["group", "accuracy", f"{100 * self.confidence:g} % interval", "images"], rows)

    def _notes(self) -> list[str]:
        """What a reader should know before believing the figures."""
        notes = []
        if self.compile_seconds:
            notes.append(f"Compiling took {number(self.compile_seconds)} s more, once on this machine.")
        if self.n_unreadable:
            notes.append(
                f'{self.n_unreadable} of {self.n} images could not be read; the model guessed them (on_error="empty"), and the '
                "guesses are judged above."
            )
        if self.n_dropped:
            notes.append(f'{self.n_dropped} damaged images were left out (on_error="drop") and are not judged.')
        if len(self.classes) > MOST_CLASSES_SHOWN:
            notes.append(f"The table shows the {MOST_CLASSES_SHOWN} classes of {len(self.classes)} with the lowest F1.")
        if self.unseen:
            count = int(np.isin(self.y_true, self.unseen).sum())
            names = ", ".join(map(str, self.unseen))
            notes.append(f"{count} images have labels that the model does not know and count as errors: {names}.")
        predicted, known = self.confusion.sum(axis=0), ~np.isin(self.classes, self.unseen)
        never = self.classes[known & (predicted == 0) & (self.support > 0)]
        if len(never):
            notes.append(f"Never predicted, so their precision is 0 by definition: {', '.join(map(str, never[:10]))}.")
        few = [str(group.group) for group in self.groups if group.n < FEW_IMAGES]
        if few:
            notes.append(f"Fewer than {FEW_IMAGES} images, so read the interval, not the accuracy: {', '.join(few)}.")
        return notes


def _escape(lines: list[str]) -> list[str]:
    import html

    return [html.escape(line) for line in lines]
