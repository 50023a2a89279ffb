"""ConfusionMatrixDisplay and ConfusedPairsDisplay: which classes a model confuses."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

import numpy as np
from sklearn.utils import check_random_state

from featrec.exceptions import InputError
from featrec.images import check_images
from featrec.plotting._confusion_matrix import plot_confusion_matrix
from featrec.plotting._display import (
    INK,
    SMALL,
    TEXT,
    Display,
    check_count,
    check_labels,
    check_model,
    classes_of,
    classify,
    draw_thumbnail,
    heading,
    in_order,
    note,
    sheet,
    shortened,
    thumbnail_of,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["ConfusedPairsDisplay", "ConfusionMatrixDisplay"]


class ConfusionMatrixDisplay(Display):
    """Confusion matrix: rows are the true classes, columns are the predicted classes.

    Parameters
    ----------
    confusion_matrix : array of shape (n_classes, n_classes)
        Counts, as from ``sklearn.metrics.confusion_matrix``.
    display_labels : sequence of length n_classes, optional
        Names of the classes. Default: 0, 1, 2 ...
    normalize : bool, default=True
        If True, show percentages of the true class; the diagonal is then the recall of each class. If False, show counts.

    Attributes
    ----------
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure

    See Also
    --------
    plot_confusion_matrix : The same figure as a function.
    ConfusedPairsDisplay : Images of the most frequent errors.

    Examples
    --------
    >>> from featrec.plotting import ConfusionMatrixDisplay
    >>> display = ConfusionMatrixDisplay.from_predictions(["cat", "cat", "dog"], ["cat", "dog", "dog"])
    >>> display.confusion_matrix
    array([[1, 1],
           [0, 1]])
    """

    def __init__(self, confusion_matrix: Any, *, display_labels: Any = None, normalize: bool = True):
        self.confusion_matrix = np.asarray(confusion_matrix)
        self.display_labels = list(range(len(self.confusion_matrix)) if display_labels is None else display_labels)
        self.normalize = normalize
        if not self.display_labels:
            raise InputError("a confusion matrix needs at least one class; got none")

    @classmethod
    def from_estimator(
        cls, model: Any, images: Any, y: Any, *, labels: Any = None, normalize: bool = True, ax: Axes | None = None
    ) -> Self:
        """Predict images and draw the confusion matrix.

        Parameters
        ----------
        model : fitted model
        images : images
        y : array-like of shape (n_images,)
            True labels.
        labels : sequence of labels, optional
            Classes to draw, in this order. Default: all, sorted.
        normalize : bool, default=True
        ax : matplotlib Axes, optional

        Returns
        -------
        display : ConfusionMatrixDisplay
        """
        check_model(model, "predict", cls.__name__)
        y = check_labels(y, len(images), "y")
        return cls.from_predictions(y, model.predict(images), labels=labels, normalize=normalize, ax=ax)

    @classmethod
    def from_predictions(
        cls, y_true: Any, y_pred: Any, *, labels: Any = None, normalize: bool = True, ax: Axes | None = None
    ) -> Self:
        """Draw the confusion matrix of predictions.

        Parameters
        ----------
        y_true, y_pred : array-like of shape (n,)
        labels : sequence of labels, optional
            Classes to draw, in this order. Default: all, sorted. Images whose true or predicted label is another class are left
            out.
        normalize : bool, default=True
        ax : matplotlib Axes, optional

        Returns
        -------
        display : ConfusionMatrixDisplay
        """
        y_true, y_pred, classes = checked_pairs(y_true, y_pred)
        classes = classes[classify("labels", labels, classes)]
        return cls(counts_of(y_true, y_pred, classes), display_labels=classes.tolist(), normalize=normalize).plot(ax)

    def _inches(self) -> tuple[float, float]:
        side = float(np.clip(2.2 + 0.42 * len(self.display_labels), 3.6, 16.0))
        return side, side

    def _draw(self, ax: Axes) -> None:
        plot_confusion_matrix(self.confusion_matrix, self.display_labels, normalize=self.normalize, ax=ax)


def checked_pairs(y_true: Any, y_pred: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return true labels, predicted labels and the classes."""
    y_true = np.asarray(y_true)
    y_true = check_labels(y_true, len(y_true) if y_true.ndim == 1 else 0, "y_true")
    y_pred = check_labels(y_pred, len(y_true), "y_pred")
    if not len(y_true):
        raise InputError("at least one prediction is needed; got none")
    return y_true, y_pred, classes_of(y_true, y_pred)


def counts_of(y_true: np.ndarray, y_pred: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """Return how often each class (row) was predicted as each class (column)."""
    places = {label: place for place, label in enumerate(classes.tolist())}
    pairs = zip(y_true.tolist(), y_pred.tolist(), strict=True)
    inside = [(places[true], places[other]) for true, other in pairs if true in places and other in places]
    counts = np.zeros((len(classes),) * 2, int)
    np.add.at(counts, tuple(np.array(inside, int).reshape(-1, 2).T), 1)
    return counts


class ConfusedPairsDisplay(Display):
    """The most frequent errors: for each pair of classes, its number of images and some of them.

    Parameters
    ----------
    pairs : list of (true class, predicted class, number of errors, number of images of the true class)
    examples : list of lists of arrays
        Some images of each pair.
    n_errors : int, optional
        Number of all errors, for the title. Default: the errors of these pairs.

    Attributes
    ----------
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure

    Examples
    --------
    >>> import numpy as np
    >>> from featrec.plotting import ConfusedPairsDisplay
    >>> images = np.random.default_rng(0).random((4, 8, 8))
    >>> display = ConfusedPairsDisplay.from_predictions(["a", "a", "b", "b"], ["b", "a", "a", "a"], images)
    >>> display.pairs
    [('b', 'a', 2, 2), ('a', 'b', 1, 2)]
    """

    def __init__(self, pairs: Any, examples: Any, *, n_errors: int | None = None):
        self.pairs, self.examples = list(pairs), list(examples)
        self.n_errors = sum(pair[2] for pair in self.pairs) if n_errors is None else n_errors
        if len(self.pairs) != len(self.examples):
            raise InputError(f"each of the {len(self.pairs)} pairs needs a list of images; got {len(self.examples)} lists")

    @classmethod
    def from_estimator(cls, model: Any, images: Any, y: Any, **options: Any) -> Self:
        """Predict images and draw the most frequent errors.

        Parameters
        ----------
        model : fitted model
        images : images
        y : array-like of shape (n_images,)
            True labels.
        **options : dict
            Options of :meth:`from_predictions`.

        Returns
        -------
        display : ConfusedPairsDisplay
        """
        check_model(model, "predict", cls.__name__)
        y = check_labels(y, len(images), "y")
        return cls.from_predictions(y, model.predict(images), images, **options)

    @classmethod
    def from_predictions(
        cls,
        y_true: Any,
        y_pred: Any,
        images: Any,
        *,
        n_pairs: int = 6,
        n_examples: int = 6,
        random_state: Any = 0,
        ax: Axes | None = None,
    ) -> Self:
        """Draw the most frequent errors of predictions.

        Parameters
        ----------
        y_true, y_pred : array-like of shape (n,)
        images : images
            The n images. Only the examples are read.
        n_pairs : int, default=6
            Maximum number of pairs of classes.
        n_examples : int, default=6
            Maximum number of images of each pair, drawn at random if there are more.
        random_state : int, RandomState or None, default=0
        ax : matplotlib Axes, optional

        Returns
        -------
        display : ConfusedPairsDisplay
        """
        y_true, y_pred, classes = checked_pairs(y_true, y_pred)
        source, random = check_images(images), check_random_state(random_state)
        check_labels(y_true, len(source), "y_true")
        n_pairs, n_examples = check_count("n_pairs", n_pairs), check_count("n_examples", n_examples)
        counts = counts_of(y_true, y_pred, classes)
        totals = counts.sum(axis=1)
        np.fill_diagonal(counts, 0)
        pairs, examples = [], []
        for place in np.argsort(-counts, axis=None, kind="stable")[:n_pairs]:
            true, other = np.unravel_index(place, counts.shape)
            rows = np.flatnonzero((y_true == classes[true]) & (y_pred == classes[other]))
            if len(rows) and true != other:
                pairs.append((classes[true].item(), classes[other].item(), len(rows), int(totals[true])))
                examples.append([thumbnail_of(source, int(row)) for row in rows[in_order(len(rows), n_examples, random)]])
        return cls(pairs, examples, n_errors=int(counts.sum())).plot(ax)

    def _text_width(self) -> float:
        """Return the width of the names, in units of a thumbnail."""
        names = [f"{shortened(true, 22)} → {shortened(other, 22)}" for true, other, *_ in self.pairs]
        return 0.125 * max([14, *map(len, names)])

    def _inches(self) -> tuple[float, float]:
        most = max((len(some) for some in self.examples), default=1)
        return 0.9 * (self._text_width() + 1.08 * max(most, 3)) + 0.2, 0.97 * max(1, len(self.pairs)) + 0.5

    def _draw(self, ax: Axes) -> None:
        most = max((len(some) for some in self.examples), default=1)
        text, rows = self._text_width(), max(1, len(self.pairs))
        sheet(ax, text + max(most, 3) * 1.08, rows * 1.08)
        if not self.pairs:
            heading(ax, "No errors")
            note(ax, "all predictions are correct")
            return
        for row, ((true, other, count, total), images) in enumerate(zip(self.pairs, self.examples, strict=True)):
            y = 1.08 * row + 0.54
            words: dict[str, Any] = {"ha": "right", "va": "center", "color": INK}
            ax.text(
                text - 0.15, y - 0.18, f"{shortened(true, 22)} → {shortened(other, 22)}", fontsize=TEXT, weight="bold", **words
            )
            share = f"{count:,} of {total:,} ({100 * count / max(total, 1):.0f} %)"
            ax.text(text - 0.15, y + 0.2, share, fontsize=SMALL, **words)
            for place, image in enumerate(images):
                draw_thumbnail(ax, image, text + 0.54 + 1.08 * place, y)
        shown = sum(pair[2] for pair in self.pairs)
        heading(ax, f"Most frequent errors, true → predicted\n{shown:,} of {self.n_errors:,} errors")
