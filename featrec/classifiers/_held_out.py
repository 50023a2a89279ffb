"""Held-out training images, and conformal thresholds that hold for new images with a stated probability."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from sklearn.utils import check_random_state

from featrec.exceptions import InputError

__all__ = [
    "calibration_split",
    "check_rows",
    "class_thresholds",
    "columns_of",
    "conformal_threshold",
    "doubts",
    "refuse_one_class",
    "rows_needed",
]

# Rounding: (n + 1) * coverage may be slightly above an integer.
ROUNDING = 1e-9


def rows_needed(coverage: float) -> int:
    """Return the smallest number of held-out rows for which a threshold with this coverage exists."""
    return math.ceil(coverage / (1 - coverage) - ROUNDING)


def conformal_threshold(values: np.ndarray, coverage: float) -> float:
    """Return the smallest of the values that a new value does not exceed with a probability of at least `coverage`.

    The probability is over the drawing of both the values and the new value, which must be exchangeable. With too few values,
    the threshold is infinite.
    """
    rank = math.ceil((len(values) + 1) * coverage - ROUNDING)
    return math.inf if rank > len(values) else float(np.partition(values, rank - 1)[rank - 1])


def check_rows(labels: np.ndarray, held: np.ndarray, coverage: float, per_class: bool) -> None:
    """Raise an error if there are too few held-out rows, of all classes or of one, for the coverage."""
    least, names = rows_needed(coverage), np.unique(labels)
    counts = np.array([(labels[held] == name).sum() for name in names] if per_class else [len(held)])
    if counts.min() < least:
        fewest = f" of the class {names.tolist()[int(counts.argmin())]!r}" if per_class else ""
        raise InputError(
            f"RejectUnknown: coverage={coverage:g} needs at least {least} held-out images{' of each class' * per_class}; there "
            f"are {counts.min()}{fewest}. Use more images, a larger calibration_fraction, or less coverage"
        )


def class_thresholds(values: np.ndarray, numbers: np.ndarray, n_classes: int, coverage: float, per_class: bool) -> np.ndarray:
    """Return a threshold for each class, from the values of its own held-out rows, or of all rows.

    Parameters
    ----------
    values : array of shape (n,)
    numbers : array of shape (n,), int
        The class of each row.
    n_classes : int
    coverage : float
    per_class : bool
    """
    if not per_class:
        return np.full(n_classes, conformal_threshold(values, coverage))
    return np.array([conformal_threshold(values[numbers == number], coverage) for number in range(n_classes)])


def doubts(shares: np.ndarray) -> np.ndarray:
    """Return the probability that the class is another one, for each class. Small values are more accurate than 1 - shares."""
    return np.asarray(shares @ (1 - np.eye(shares.shape[1])))


def refuse_one_class(labels: np.ndarray) -> None:
    """Raise an error if there is only one class, because no classifier can be fitted."""
    names = np.unique(labels).tolist()
    if len(names) == 1:
        raise InputError(f"RejectUnknown needs at least two classes; the labels have one class, {names[0]!r}")


def calibration_split(labels: np.ndarray, fraction: float, random_state: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return the rows to fit on and the held-out rows: a fraction of each class, but at least one, and never all."""
    random, held = check_random_state(random_state), []
    for name in np.unique(labels):
        rows = random.permutation(np.flatnonzero(labels == name))
        held.append(rows[: min(len(rows) - 1, max(1, round(fraction * len(rows))))])
    rows = np.sort(np.concatenate(held))
    if not len(rows):
        raise InputError("RejectUnknown: every class has one image; at least one class needs a second image to hold out")
    return np.setdiff1d(np.arange(len(labels)), rows), rows


def columns_of(labels: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """Return the place of each label in the sorted classes of the model."""
    found = np.searchsorted(classes, labels).clip(max=len(classes) - 1)
    other = labels[classes[found] != labels].tolist()
    if other:
        raise InputError(f"RejectUnknown: the model does not know the class {other[0]!r} of a held-out image")
    return found
