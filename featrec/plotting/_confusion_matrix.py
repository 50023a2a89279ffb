"""Which classes a model takes for which."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from featrec.exceptions import InputError
from featrec.plotting._canvas import INK, axes_for

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["plot_confusion_matrix"]


def plot_confusion_matrix(matrix: Any, classes: Sequence, *, normalize: bool = True, ax: Axes | None = None) -> Axes:
    """Draw a confusion matrix: rows are the true classes, columns the predicted ones.

    Parameters
    ----------
    matrix : array of shape (n_classes, n_classes)
        Counts, as ``sklearn.metrics.confusion_matrix`` gives them.
    classes : sequence of length n_classes
        The names, in the matrix's order.
    normalize : bool, default=True
        Show per cent of the true class, so that the diagonal reads as each class's recall; False shows counts.
    ax : matplotlib Axes, optional
        Where to draw; None makes a figure that grows with the number of classes.

    Returns
    -------
    matplotlib Axes

    Examples
    --------
    >>> from featrec.plotting import plot_confusion_matrix
    >>> print(plot_confusion_matrix([[18, 2], [5, 15]], ["cat", "dog"]).get_title())
    82.5 % of 40 right
    each row in per cent of its class
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
    right = np.trace(counts) / max(1, counts.sum())
    unit = "each row in per cent of its class" if normalize else "counts"
    ax.set_title(f"{100 * right:.1f} % of {counts.sum():,.0f} right\n{unit}", fontsize=10, color=INK)
    return ax


def _check(matrix: Any, classes: Sequence) -> tuple[np.ndarray, list[str]]:
    counts, names = np.asarray(matrix), [str(name) for name in classes]
    if counts.shape != (len(names), len(names)):
        raise InputError(f"a confusion matrix of {len(names)} classes has that many rows and columns; got shape {counts.shape}")
    if counts.dtype.kind not in "uif" or not (counts >= 0).all():
        raise InputError("a confusion matrix holds counts, 0 or more; normalize=True makes shares of them")
    return counts, names


def _write_numbers(ax: Axes, shares: np.ndarray, values: np.ndarray) -> None:
    """What rounds to 0 is left out: an empty cell is read faster."""
    longest = len(f"{values.max(initial=0):.0f}")
    size = float(np.clip(10.5 - 0.07 * len(values), 7, 9.5)) * min(1.0, 3 / longest)
    for row, column in zip(*np.nonzero(np.rint(values)), strict=True):
        color = "white" if shares[row, column] > 0.55 else INK
        number = ax.text(column, row, f"{values[row, column]:.0f}", ha="center", va="center", fontsize=size, color=color)
        # They lie inside the axes, and measuring 2,500 of them to lay out the figure takes seconds.
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
