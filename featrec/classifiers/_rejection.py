"""Parts of RejectUnknown: held-out images, thresholds from them, the distance to the classes, and checks of stored values."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import Any, Self

import numpy as np
from scipy.linalg import solve
from scipy.sparse import issparse
from sklearn.utils import check_random_state

from featrec.exceptions import InputError
from featrec.model_files import Stored, check_stored_array

__all__ = [
    "DISTANCE_ARRAYS",
    "CodeDistance",
    "calibration_split",
    "check_rows",
    "check_stored_distance",
    "check_stored_rejection",
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
    """Return the smallest of the values for which a new value is at most this value with a probability of at least `coverage`.

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
    """Return, for each class, the probability of all others. If it is small, this is more accurate than 1 - shares."""
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


# Penalty of the regression, as a multiple of the mean squared length of the centred codes. Chosen on training images of
# scene15, with other draws of known classes than benchmarks/unknown.py, for Fisher vectors and local binary patterns.
PENALTY = 0.1


@dataclass(frozen=True, eq=False)
class CodeDistance:
    """Distance of a code from the nearest class mean, after a projection in which the training images of a class coincide.

    Distances between long codes say little, because all images are about equally far from one another. A ridge regression on
    the classes therefore reduces codes to one number per class. With a small penalty, the training codes of a class fall nearly
    on one point (the null space of the scatter within classes), so what varies within the classes does not count.

    Attributes
    ----------
    directions_ : array of shape (width, n_classes), float32
    offsets_ : array of shape (n_classes,)
        The projection of a code is ``code @ directions_ + offsets_``.
    means_ : array of shape (n_classes, n_classes)
        The mean projection of each class.
    """

    directions_: np.ndarray
    offsets_: np.ndarray
    means_: np.ndarray

    @classmethod
    def fitted(cls, codes: Any, numbers: np.ndarray, model: Any) -> Self:
        """Learn the distance from the codes of training images and their class numbers."""
        if codes is None:
            raise InputError(
                f'RejectUnknown: method="distance" needs codes, but {type(model).__name__} has no step that computes codes. '
                'Use method="confidence", or a Pipeline of an extractor and a classifier'
            )
        rows = _dense(codes)
        wanted = (numbers[:, None] == np.arange(numbers.max() + 1)).astype(np.float64)
        directions, offsets = _ridge(rows, wanted)
        projected = rows @ directions + offsets
        return cls(directions, offsets, wanted.T @ projected / wanted.sum(axis=0)[:, None])

    def arrays(self) -> dict[str, np.ndarray]:
        return {name: getattr(self, name) for name in DISTANCE_ARRAYS}

    def __call__(self, codes: Any) -> np.ndarray:
        """Return the distance of each code."""
        projected = _dense(codes) @ self.directions_ + self.offsets_
        return np.asarray(np.min([np.linalg.norm(projected - mean, axis=1) for mean in self.means_], axis=0), np.float64)


DISTANCE_ARRAYS = tuple(field.name for field in fields(CodeDistance))


def _dense(codes: Any) -> np.ndarray:
    found = np.asarray(codes.toarray() if issparse(codes) else codes)
    return found if found.dtype.kind == "f" else found.astype(np.float32)


def _ridge(codes: np.ndarray, wanted: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return directions and offsets of a ridge regression. The system has the size of the smaller side of the codes."""
    mean, share = codes.mean(axis=0), wanted.mean(axis=0)
    rows, targets = codes - mean, wanted - share
    wide = rows.shape[1] > len(rows)
    products = np.asarray(rows @ rows.T if wide else rows.T @ rows, np.float64)
    penalty = PENALTY * np.trace(products) / len(rows) or 1.0
    right = targets if wide else rows.T @ targets
    solved = solve(products + penalty * np.eye(len(products)), right, assume_a="pos", overwrite_a=True)
    directions = (rows.T @ solved.astype(rows.dtype) if wide else solved).astype(np.float32)
    return directions, share - mean @ directions


def check_stored_distance(stored: Stored, n_classes: int) -> None:
    """Check that the arrays in a model file match each other."""
    check_stored_array("directions_", stored["directions_"], (None, n_classes), np.float32)
    check_stored_array("offsets_", stored["offsets_"], (n_classes,), np.float64)
    check_stored_array("means_", stored["means_"], (n_classes, n_classes), np.float64)


def check_stored_rejection(stored: Stored) -> None:
    """Check what was learned: one threshold for each class, and arrays that match each other."""
    if "classes_" not in stored:
        return
    n_classes = len(stored["classes_"])
    for name in ("temperature_", "threshold_"):
        value = stored[name]
        if not isinstance(value, (int, float)) or not math.isfinite(value):
            raise ValueError(f"{name}={value!r:.80}; expected a finite number")
    if not stored["temperature_"] > 0:
        raise ValueError(f"temperature_={stored['temperature_']!r:.80}; expected a number greater than 0")
    method = stored["method"]
    if method == "conformal":
        check_stored_array("thresholds_", stored["thresholds_"], (n_classes,), np.float64)
    elif method == "distance":
        check_stored_distance(stored, n_classes)
    elif method not in ("confidence", "score"):
        raise ValueError(f'method={method!r:.80}; expected "confidence", "score", "distance" or "conformal"')
