"""shift and Shift: accuracies of fitted models on two test sets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

import numpy as np

from featrec.evaluation._given import labelled_images, take
from featrec.evaluation._measures import wilson_interval
from featrec.evaluation._plan import check_fitted, predicted_right
from featrec.evaluation._report import check_confidence
from featrec.evaluation._result import (
    ModelResults,
    Table,
    frame,
    legend_above,
    percent,
    percent_range,
    report_progress,
    settle_shares,
    styles,
)
from featrec.shared_docs import with_shared_docs

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from pandas import DataFrame

__all__ = ["ModelShift", "Shift", "difference_interval", "shift"]


@dataclass(frozen=True)
class ModelShift:
    """Accuracies of one model on two test sets.

    Attributes
    ----------
    name : str
    accuracy, shifted_accuracy : float
        Accuracy on the first and on the second test set.
    interval, shifted_interval : tuple of (low, high)
        Wilson intervals.
    difference : float
        ``shifted_accuracy - accuracy``.
    difference_interval : tuple of (low, high)
        Newcombe's interval of the difference.
    """

    name: str
    accuracy: float
    shifted_accuracy: float
    interval: tuple[float, float]
    shifted_interval: tuple[float, float]
    difference: float
    difference_interval: tuple[float, float]


@dataclass(frozen=True, eq=False, repr=False)
class Shift(ModelResults[ModelShift]):
    """Result of :func:`shift`. Proportions are between 0 and 1.

    Attributes
    ----------
    results : tuple of ModelShift
        Highest accuracy on the second test set first.
    n, n_shifted : int
        Number of images in the first and in the second test set.
    confidence : float
        Confidence level of the intervals.
    """

    results: tuple[ModelShift, ...]
    n: int
    n_shifted: int
    confidence: float

    def to_frame(self) -> DataFrame:
        """Return a DataFrame with one row per model. Needs pandas."""
        columns: dict[str, Any] = {}
        for name in (field.name for field in fields(ModelShift) if field.name != "name"):
            values = [getattr(result, name) for result in self.results]
            if name.endswith("interval"):
                stem = name.removesuffix("interval")
                columns[f"{stem}low"], columns[f"{stem}high"] = zip(*values, strict=True)
            else:
                columns[name] = values
        return frame(columns, index=self._names())

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw each model's accuracy on both test sets, joined by a line, with intervals. Needs matplotlib."""
        from featrec.plotting import INK, axes_for

        ax = axes_for(ax, 4.5, 4.2)
        looks = styles(result.name for result in self.results)
        for place, result in zip(np.linspace(-0.06, 0.06, len(self.results)), self.results, strict=True):
            shares = 100 * np.array([result.accuracy, result.shifted_accuracy])
            bounds = 100 * np.array([result.interval, result.shifted_interval])
            errors = np.abs(bounds.T - shares)
            ax.errorbar([place, 1 + place], shares, yerr=errors, label=result.name, capsize=3, **looks[result.name])
        ax.set_xlim(-0.3, 1.3)
        ax.set_xticks([0, 1], [f"first, {self.n:,} images", f"second, {self.n_shifted:,} images"])
        ax.set_ylabel(f"accuracy in %, with {100 * self.confidence:g} % interval", color=INK)
        legend_above(ax)
        settle_shares(ax)
        return ax

    def _heading(self) -> str:
        return "Two test sets"

    def _table(self) -> Table:
        interval = f"{100 * self.confidence:g} % interval"
        return Table(["model", "first", interval, "second", interval, "difference", interval], list(map(_row, self.results)))

    def _sentences(self) -> list[str]:
        return [f"{self.n:,} images in the first and {self.n_shifted:,} in the second test set.", *map(_verdict, self.results)]


def _row(result: ModelShift) -> list[str]:
    first = [percent(result.accuracy), percent_range(result.interval)]
    second = [percent(result.shifted_accuracy), percent_range(result.shifted_interval)]
    return [result.name, *first, *second, f"{100 * result.difference:+.1f}", percent_range(result.difference_interval)]


def _verdict(result: ModelShift) -> str:
    low, high = result.difference_interval
    if low <= 0 <= high:
        return f"{result.name}: the interval of the difference contains 0, so a change is not certain."
    verb = "gains" if result.difference > 0 else "loses"
    return f"{result.name} {verb} {100 * abs(result.difference):.1f} points on the second test set."


@with_shared_docs
def shift(
    models: Mapping[str, Any],
    first: tuple[Any, Any],
    second: tuple[Any, Any],
    *,
    confidence: float = 0.95,
    verbose: int = 0,
) -> Shift:
    """Compare the accuracy of fitted models on two test sets, such as images of two cameras. Nothing is fitted.

    Parameters
    ----------
    models : dict of name to fitted model
    first, second : tuple of (X, y)
        Two test sets with different images.
    confidence : float, default=0.95
        Confidence level of the intervals.

    Returns
    -------
    Shift

    Raises
    ------
    InputError
        If a model is not fitted, or if labels do not match the images.

    Notes
    -----
    The interval of the difference assumes that all images are independent. Use :func:`robustness` for the same images with and
    without changes.

    References
    ----------
    Newcombe, "Interval estimation for the difference between independent proportions: comparison of eleven methods", 1998
    (method 10).

    Examples
    --------
    >>> from featrec.datasets import load_dataset
    >>> from featrec.evaluation import shift
    >>> from featrec.preprocessing import AdjustLight
    >>> from featrec.recipes import tiny_knn
    >>> train, test = load_dataset("digits")
    >>> model = tiny_knn(size=(8, 8)).fit(train, train.labels)
    >>> dark = AdjustLight(contrast=0.2).transform(test[200:])
    >>> result = shift({"tiny": model}, (test[:200], test.labels[:200]), (dark, test.labels[200:]))
    >>> result["tiny"].difference <= 0
    True
    """
    check_confidence(confidence)
    sets = [labelled_images(first, "first", "the first test set"), labelled_images(second, "second", "the second test set")]
    for X, y in sets:
        check_fitted("shift", models, take(X, np.arange(1)), y)
    results = []
    for name, model in models.items():
        before, after = (predicted_right(name, model, X, y) for X, y in sets)
        results.append(_result(name, before, after, confidence))
        report_progress(verbose, f"{name}: {percent(results[-1].accuracy)} %, then {percent(results[-1].shifted_accuracy)} %")
    results.sort(key=lambda result: -result.shifted_accuracy)
    return Shift(tuple(results), len(sets[0][1]), len(sets[1][1]), confidence)


def _result(name: str, right: np.ndarray, shifted: np.ndarray, confidence: float) -> ModelShift:
    first, second = (int(right.sum()), len(right)), (int(shifted.sum()), len(shifted))
    return ModelShift(
        name=name,
        accuracy=first[0] / first[1],
        shifted_accuracy=second[0] / second[1],
        interval=wilson_interval(*first, confidence),
        shifted_interval=wilson_interval(*second, confidence),
        difference=second[0] / second[1] - first[0] / first[1],
        difference_interval=difference_interval(second, first, confidence),
    )


def difference_interval(first: tuple[int, int], second: tuple[int, int], confidence: float) -> tuple[float, float]:
    """Compute Newcombe's interval of the difference of two independent shares; each is a pair (count, n)."""
    (p, low, high), (q, low_q, high_q) = ((count / n, *wilson_interval(count, n, confidence)) for count, n in (first, second))
    down, up = np.hypot(p - low, high_q - q), np.hypot(high - p, q - low_q)
    return float(p - q - down), float(p - q + up)
