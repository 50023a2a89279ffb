"""Distances of codes from known classes, after a projection that is learned from the classes."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, Self

import numpy as np
from scipy.linalg import solve
from scipy.sparse import issparse

from featrec.exceptions import InputError
from featrec.model_files import Stored, check_stored_array

__all__ = ["DISTANCE_ARRAYS", "CodeDistance", "check_stored_distance"]

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
