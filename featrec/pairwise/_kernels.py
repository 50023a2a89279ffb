"""Kernels between histograms, named as in sklearn.metrics.pairwise."""

from __future__ import annotations

from typing import Any

import numpy as np

from featrec.compiled._kernels import chi2, intersection
from featrec.pairwise._gram import check_pair, gram


def intersection_kernel(X: Any, Y: Any = None, *, n_jobs: int | None = None) -> np.ndarray:
    """The histogram intersection of all pairs of rows: the sum of the smaller of each two entries.

    For rows that add up to one it lies between 0 (nothing in common) and 1 (equal). Fails on negative or missing values.

    Parameters
    ----------
    X : array of shape (n_x, d)
        Not negative.
    Y : array of shape (n_y, d), optional
        `X` by default.
    n_jobs : int or None, default=None
        Threads; None means one, or what a joblib context says.

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


def chi2_kernel(X: Any, Y: Any = None, *, gamma: float = 1.0, n_jobs: int | None = None) -> np.ndarray:
    """The exponential chi-square kernel of all pairs of rows, ``exp(-gamma Σ (x - y)² / (x + y))``.

    Entries that are zero in both rows add nothing. Fails on negative or missing values.

    Parameters
    ----------
    X : array of shape (n_x, d)
        Not negative.
    Y : array of shape (n_y, d), optional
        `X` by default.
    gamma : float, default=1.0
    n_jobs : int or None, default=None
        Threads; None means one, or what a joblib context says.

    Returns
    -------
    kernel : array of shape (n_x, n_y), float32

    Notes
    -----
    The definition is scikit-learn's: without the factor ½ that some papers have.

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
    """Σ |x - y| of checked histograms, as what both have less twice what they share."""
    shared = gram(intersection, X, Y, n_jobs)
    x, y = X.sum(axis=1), Y.sum(axis=1)
    distances = np.maximum(x[:, None] + y - 2 * shared, np.float32(0.0))
    if X is Y:
        np.fill_diagonal(distances, 0.0)
    return distances


def chi2_distances(X: np.ndarray, Y: np.ndarray, *, n_jobs: int | None = None) -> np.ndarray:
    """Σ (x - y)² / (x + y) of checked histograms."""
    # The loop takes values up to one; the sum grows like its terms.
    largest = max(X.max(initial=0.0), Y.max(initial=0.0))
    if largest <= 1.0:
        return gram(chi2, X, Y, n_jobs)
    scaled = X / largest
    return largest * gram(chi2, scaled, scaled if X is Y else Y / largest, n_jobs)
