"""Confusion matrices."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from featrec.exceptions import InputError
from featrec.plotting._display import INK, axes_for

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["plot_confusion_matrix"]


def plot_confusion_matrix(matrix: Any, classes: Sequence, *, normalize: bool = True, ax: Axes | None = None) -> Axes:
    """Draw a confusion matrix. Rows are the true classes, columns are the predicted classes.

    Parameters
    ----------
    matrix : array of shape (n_classes, n_classes)
        Counts, as from ``sklearn.metrics.confusion_matrix``.
    classes : sequence of length n_classes
        Names of the classes, in the order of the matrix.
    normalize : bool, default=True
        If True, show percentages of the true class; the diagonal is then the recall of each class. If False, show counts.
    ax : matplotlib Axes, optional
        Axes to draw on. Default: the axes of a new figure, whose size depends on the number of classes.

    Returns
    -------
    matplotlib Axes

    Examples
    --------
    >>> from featrec.plotting import plot_confusion_matrix
    >>> print(plot_confusion_matrix([[18, 2], [5, 15]], ["cat", "dog"]).get_title())
    82.5 % of 40 correct
    each row in percent of its class
    """
    counts, names = _check(matrix, classes)
    n = len(names)
    totals = counts.sum(axis=1, keepdims=True)
    shares = counts / np.where(totals > 0, totals, 1)
    side = float(np.clip(2.2 + 0.42 * n, 3.6, 16.0))
    ax = axes_for(ax, side, side)
    ax.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    _write_numbers(ax, shares, 100 * shares if normalize else counts)
    _name_axes(ax, names, size=float(np.clip(11 - 0.1 * n, 6, 10)))
    correct = np.trace(counts) / max(1, counts.sum())
    unit = "each row in percent of its class" if normalize else "counts"
    ax.set_title(f"{100 * correct:.1f} % of {counts.sum():,.0f} correct\n{unit}", fontsize=10, color=INK)
    return ax


def _check(matrix: Any, classes: Sequence) -> tuple[np.ndarray, list[str]]:
    counts, names = np.asarray(matrix), [str(name) for name in classes]
    if counts.shape != (len(names), len(names)):
        raise InputError(
            f"the confusion matrix of {len(names)} classes must have shape {(len(names),) * 2}; got {counts.shape}"
        )
    if counts.dtype.kind not in "uif" or not (counts >= 0).all():
        raise InputError("a confusion matrix contains counts, 0 or more; normalize=True converts them to percentages")
    return counts, names


def _write_numbers(ax: Axes, shares: np.ndarray, values: np.ndarray) -> None:
    """Write the numbers that do not round to 0."""
    longest = len(f"{values.max(initial=0):.0f}")
    size = float(np.clip(10.5 - 0.07 * len(values), 7, 9.5)) * min(1.0, 3 / longest)
    for row, column in zip(*np.nonzero(np.rint(values)), strict=True):
        color = "white" if shares[row, column] > 0.55 else INK
        number = ax.text(column, row, f"{values[row, column]:.0f}", ha="center", va="center", fontsize=size, color=color)
        # The numbers lie inside the axes, so the layout does not need their sizes. Measuring 2,500 numbers would take seconds.
        number.set_in_layout(False)


def _name_axes(ax: Axes, names: list[str], *, size: float) -> None:
    places = np.arange(len(names))
    ax.set_xticks(places, names, rotation=45, ha="right", rotation_mode="anchor", fontsize=size)
    ax.set_yticks(places, names, fontsize=size)
    ax.set_xlabel("predicted", color=INK)
    ax.set_ylabel("true", color=INK)
    ax.set_xticks(places[1:] - 0.5, minor=True)
    ax.set_yticks(places[1:] - 0.5, minor=True)
    ax.grid(which="minor", color="white", linewidth=1)
    ax.tick_params(which="both", length=0, colors=INK)
    ax.spines[:].set_visible(False)
