"""Kernels between histograms, named as in sklearn.metrics.pairwise, and the transformer HistogramKernel."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Self

import numpy as np
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils import Tags, check_array
from sklearn.utils.validation import check_is_fitted, validate_data

from featrec.base import JOBS, Estimator, StrOptions, real_number
from featrec.compiled._kernels import chi2, intersection
from featrec.exceptions import InputError
from featrec.model_files import Stored, check_stored_array
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


# Maximum number of rows from which the mean distance is estimated.
ROWS_FOR_MEAN = 1000


@with_shared_docs
class HistogramKernel(ClassNamePrefixFeaturesOutMixin, TransformerMixin, Estimator):
    """A kernel between histograms, for ``SVC(kernel=HistogramKernel())`` or as a step before ``SVC(kernel="precomputed")``.

    If it is called with two arrays, it returns their kernel matrix. As a transformer, it stores the training codes, and
    `transform` returns the kernel (or distance) between each row and each training code, for ``SVC(kernel="precomputed")`` or
    ``KNeighborsClassifier(metric="precomputed")``. This is many times faster than a callable metric. Negative values raise an
    error.

    Parameters
    ----------
    kind : {"intersection", "chi2"}, default="intersection"
        The kernel: histogram intersection or exponential chi-square.
    gamma : float or "mean", default=1.0
        Factor in the chi-square kernel, ``exp(-gamma * distance)``; ignored for "intersection". "mean" uses the reciprocal of
        the mean distance between training codes; it is only available in the transformer.
    output : {"kernel", "distance"}, default="kernel"
        Output of the transformer. The distance is ``Σ |x - y|`` for "intersection" (2 - 2 · kernel if rows sum to one),
        and ``Σ (x - y)² / (x + y)`` for "chi2".

    Attributes
    ----------
    codes_ : array of shape (n_train, d), float32
        All training codes. A model file also contains these codes.
    gamma_ : float
        The factor that is used.
    n_features_in_ : int

    Notes
    -----
    With ``gamma="mean"``, the mean is computed from at most 1,000 training codes, which are evenly spaced in the training set.

    References
    ----------
    S. Maji, A. C. Berg and J. Malik, "Classification Using Intersection Kernel Support Vector Machines Is Efficient",
    CVPR 2008.
    J. Zhang, M. Marszałek, S. Lazebnik and C. Schmid, "Local Features and Kernels for Classification of Texture and Object
    Categories", IJCV 73(2), 2007.

    Examples
    --------
    >>> from featrec.pairwise import HistogramKernel
    >>> from sklearn.neighbors import KNeighborsClassifier
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.svm import SVC
    >>> codes, labels = [[1.0, 0.0], [0.9, 0.1], [0.1, 0.9]], ["left", "left", "right"]
    >>> print(*SVC(kernel=HistogramKernel()).fit(codes, labels).predict([[0.8, 0.2]]))
    left
    >>> neighbours = KNeighborsClassifier(1, metric="precomputed")
    >>> model = make_pipeline(HistogramKernel("chi2", output="distance"), neighbours).fit(codes, labels)
    >>> print(*model.predict([[0.2, 0.8]]))
    right
    """

    _parameter_constraints = {
        "kind": [StrOptions({"intersection", "chi2"})],
        "gamma": [real_number(0.0, closed="neither"), StrOptions({"mean"})],
        "output": [StrOptions({"kernel", "distance"})],
        **JOBS,
    }

    def __init__(
        self,
        kind: str = "intersection",
        *,
        gamma: float | str = 1.0,
        output: str = "kernel",
        n_jobs: int | None = None,
    ):
        self.kind = kind
        self.gamma = gamma
        self.output = output
        self.n_jobs = n_jobs

    def __call__(self, X: Any, Y: Any = None) -> np.ndarray:
        """Compute the kernel matrix of two sets of codes; the parameter `output` is ignored.

        Parameters
        ----------
        X : array of shape (n_x, d)
        Y : array of shape (n_y, d), optional
            Default: `X`.

        Returns
        -------
        kernel : array of shape (n_x, n_y), float32
        """
        self._check_parameters()
        if self.kind == "chi2" and self.gamma == "mean":
            raise InputError(
                'HistogramKernel(gamma="mean") needs the training codes, but a callable kernel does not get them. Use '
                'a number, or a step: make_pipeline(HistogramKernel("chi2", gamma="mean"), SVC(kernel="precomputed")).'
            )
        return self._kernel(*check_pair(X, Y, "HistogramKernel"), self.gamma)

    def fit(self, X: Any, y: Any = None) -> Self:
        """Store the training codes.

        Parameters
        ----------
        X : array of shape (n_train, d)
            Training codes; no value may be negative.
        y : ignored

        Returns
        -------
        self
        """
        self._check_parameters()
        self.codes_ = self._codes(X, reset=True)
        self.gamma_ = self._one_over_mean() if self.gamma == "mean" else self.gamma
        return self

    def transform(self, X: Any) -> np.ndarray:
        """Compute kernels or distances between codes and the training codes.

        Parameters
        ----------
        X : array of shape (n, d)

        Returns
        -------
        compared : array of shape (n, n_train), float32
        """
        check_is_fitted(self, "codes_")
        return self._compare(self._codes(X, reset=False))

    def fit_transform(self, X: Any, y: Any = None) -> np.ndarray:
        """Store the training codes, and compute kernels or distances between them. Each pair is computed only once.

        Parameters
        ----------
        X : array of shape (n_train, d)
        y : ignored

        Returns
        -------
        compared : array of shape (n_train, n_train), float32
        """
        return self.fit(X)._compare(self.codes_)

    @staticmethod
    def _check_stored_arrays(stored: Stored) -> None:
        """Check that codes are C-contiguous and not negative, because the compiled kernels rely on this."""
        if "codes_" not in stored:
            return
        codes, width = stored["codes_"], stored["n_features_in_"]
        check_stored_array("codes", codes, (None, width), np.float32)
        if not codes.flags.c_contiguous or (codes < 0).any():
            raise ValueError("the codes are negative, or not in C order")

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = True
        tags.input_tags.positive_only = True
        tags.no_validation = False
        tags.transformer_tags.preserves_dtype = ["float32"]
        return tags

    @property
    def _n_features_out(self) -> int:
        return len(self.codes_)

    def _codes(self, X: Any, *, reset: bool) -> np.ndarray:
        codes = validate_data(self, X, dtype=np.float32, order="C", reset=reset, copy=reset)
        refuse_negative(codes, "HistogramKernel")
        return codes

    def _compare(self, X: np.ndarray) -> np.ndarray:
        return self._distances(X, self.codes_) if self.output == "distance" else self._kernel(X, self.codes_, self.gamma_)

    def _kernel(self, X: np.ndarray, Y: np.ndarray, gamma: Any) -> np.ndarray:
        if self.kind == "intersection":
            return gram(intersection, X, Y, self.n_jobs)
        return np.exp(-np.float32(gamma) * self._distances(X, Y))

    def _distances(self, X: np.ndarray, Y: np.ndarray) -> np.ndarray:
        measure = intersection_distances if self.kind == "intersection" else chi2_distances
        return measure(X, Y, n_jobs=self.n_jobs)

    def _one_over_mean(self) -> float:
        rows = np.unique(np.linspace(0, len(self.codes_) - 1, ROWS_FOR_MEAN).astype(int))
        some = self.codes_[rows]
        mean = float(self._distances(some, some).mean(dtype=np.float64))
        return 1.0 / mean if mean > 0.0 else 1.0
