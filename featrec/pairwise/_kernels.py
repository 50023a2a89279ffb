"""Kernels between histograms, named as in sklearn.metrics.pairwise."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from sklearn.utils import check_array

from featrec.compiled._kernels import chi2, intersection
from featrec.exceptions import InputError
from featrec.parallel import map_batches
from featrec.shared_docs import with_shared_docs

ROWS = 256


def check_histograms(X: Any, stage: str) -> np.ndarray:
    """Return finite float32 rows without negative values."""
    X = check_array(X, dtype=np.float32, order="C", input_name="X", estimator=stage)
    refuse_negative(X, stage)
    return X


def refuse_negative(X: np.ndarray, stage: str) -> None:
    """Raise an InputError for negative values, for which minima and chi-square are meaningless."""
    least = X.min(initial=0.0)
    if least < 0.0:
        row, column = np.unravel_index(np.argmin(X), X.shape)
        raise InputError(
            f"Negative values in data passed to {stage}: X[{row}, {column}] is {least:g}; histograms have none. "
            "Use a linear kernel for codes with negative values (VLAD, Fisher vectors)."
        )


def check_pair(X: Any, Y: Any, stage: str) -> tuple[np.ndarray, np.ndarray]:
    """Check two sets of histograms of equal width. If `Y` is None or `X`, return the same array twice."""
    histograms = check_histograms(X, stage)
    if Y is None or Y is X:
        return histograms, histograms
    others = check_histograms(Y, stage)
    if others.shape[1] != histograms.shape[1]:
        raise InputError(
            f"{stage} compares rows of equal length; X has {histograms.shape[1]} features and Y has {others.shape[1]}. "
            "Compute both with the same fitted encoder."
        )
    return histograms, others


def gram(loop: Callable[..., None], X: np.ndarray, Y: np.ndarray, n_jobs: int | None = None) -> np.ndarray:
    """Apply `loop` to all pairs of rows of X and Y. If X and Y are the same array, each pair is computed only once."""
    sums = np.empty((len(X), len(Y)), np.float32)
    same = X is Y

    def part(rows: range) -> None:
        loop(X[rows.start : rows.stop], Y, rows.start if same else 0, sums[rows.start : rows.stop])

    map_batches(part, range(len(X)), n_jobs=n_jobs, batch_size=ROWS, shared_memory=True)
    if same:
        _mirror(sums)
    return sums


def _mirror(sums: np.ndarray) -> None:
    for start in range(0, len(sums), ROWS):
        stop = start + ROWS
        block = sums[start:stop, start:stop]
        block[:] = np.triu(block) + np.triu(block, 1).T
        sums[stop:, start:stop] = sums[start:stop, stop:].T


@with_shared_docs
def intersection_kernel(X: Any, Y: Any = None, *, n_jobs: int | None = None) -> np.ndarray:
    """Compute the histogram intersection of all pairs of rows: the sum of the minima of their entries.

    If rows sum to one, the intersection is between 0 and 1; it is 1 for equal rows. Negative or missing values raise an error.

    Parameters
    ----------
    X : array of shape (n_x, d)
        No value may be negative.
    Y : array of shape (n_y, d), optional
        Default: `X`.

    Returns
    -------
    kernel : array of shape (n_x, n_y), float32

    References
    ----------
    M. J. Swain and D. H. Ballard, "Color Indexing", IJCV 7(1), 1991.

    Examples
    --------
    >>> from featrec.pairwise import intersection_kernel
    >>> intersection_kernel([[0.5, 0.5, 0.0]], [[0.25, 0.5, 0.25], [0.0, 0.0, 1.0]])
    array([[0.75, 0.  ]], dtype=float32)
    """
    return gram(intersection, *check_pair(X, Y, "intersection_kernel"), n_jobs=n_jobs)


@with_shared_docs
def chi2_kernel(X: Any, Y: Any = None, *, gamma: float = 1.0, n_jobs: int | None = None) -> np.ndarray:
    """Compute the exponential chi-square kernel of all pairs of rows, ``exp(-gamma Σ (x - y)² / (x + y))``.

    Entries that are zero in both rows are skipped. Negative or missing values raise an error.

    Parameters
    ----------
    X : array of shape (n_x, d)
        No value may be negative.
    Y : array of shape (n_y, d), optional
        Default: `X`.
    gamma : float, default=1.0

    Returns
    -------
    kernel : array of shape (n_x, n_y), float32

    Notes
    -----
    The definition is scikit-learn's, without the factor ½ that some papers use.

    References
    ----------
    J. Zhang, M. Marszałek, S. Lazebnik and C. Schmid, "Local Features and Kernels for Classification of Texture and Object
    Categories", IJCV 73(2), 2007.

    Examples
    --------
    >>> from featrec.pairwise import chi2_kernel
    >>> chi2_kernel([[0.5, 0.5]], [[0.5, 0.5], [0.0, 1.0]]).round(3)
    array([[1.   , 0.513]], dtype=float32)
    """
    return np.exp(-np.float32(gamma) * chi2_distances(*check_pair(X, Y, "chi2_kernel"), n_jobs=n_jobs))


def intersection_distances(X: np.ndarray, Y: np.ndarray, *, n_jobs: int | None = None) -> np.ndarray:
    """Compute Σ |x - y| of checked histograms from their intersection."""
    shared = gram(intersection, X, Y, n_jobs)
    x, y = X.sum(axis=1), Y.sum(axis=1)
    distances = np.maximum(x[:, None] + y - 2 * shared, np.float32(0.0))
    if X is Y:
        np.fill_diagonal(distances, 0.0)
    return distances


def chi2_distances(X: np.ndarray, Y: np.ndarray, *, n_jobs: int | None = None) -> np.ndarray:
    """Compute Σ (x - y)² / (x + y) of checked histograms."""
    # The loop requires values of at most 1, so histograms are scaled; the distance is proportional to the scale.
    largest = max(X.max(initial=0.0), Y.max(initial=0.0))
    if largest <= 1.0:
        return gram(chi2, X, Y, n_jobs)
    scaled = X / largest
    return largest * gram(chi2, scaled, scaled if X is Y else Y / largest, n_jobs)
