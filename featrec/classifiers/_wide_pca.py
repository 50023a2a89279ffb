"""WidePCA: principal components of wide codes, learned from some of the rows and optionally stored as bytes."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from scipy import linalg
from sklearn.base import ClassNamePrefixFeaturesOutMixin
from sklearn.utils import Tags, check_random_state
from sklearn.utils.validation import check_is_fitted, validate_data

from featrec.base import JOBS, RANDOM_STATE, VERBOSE, StrOptions, Transformer, positive_integer
from featrec.classifiers._codes_classifier import OF_BLAS, announce
from featrec.classifiers._wide_scaler import CentredCodes
from featrec.parallel import map_batches, one_inner_thread, worker_count
from featrec.shared_docs import with_shared_docs

__all__ = ["WidePCA"]

# Number of rows and number of columns per product. For each product, columns of the projection are converted to float32.
ROWS, COLUMNS = 512, 2048
# The largest signed byte.
REACH = 127
# Number of rows and columns per tile of the Gram matrix.
TILE = 2048
# Up to this number of rows, all eigenvectors are computed.
SMALL = 2000
ROUNDS = 3
PRODUCT_ROWS = 1024
# Eigenvalues below this fraction of the largest eigenvalue are rounding errors of float32.
LEAST_PART = 1e-6


@with_shared_docs
class WidePCA(ClassNamePrefixFeaturesOutMixin, Transformer):
    """Project wide codes onto their principal components, and rotate the result at random.

    Designed for tens of thousands of columns: the components are learned from some of the rows, the codes are not copied, and
    the projection can be stored as bytes. A rotation changes neither distances nor kernels. After a random rotation, all
    columns have similar variances and no outliers, so all can be rounded to bytes with the same step
    (``KernelRidgeClassifier(dtype="int8")``).

    Parameters
    ----------
    n_components : int, default=1000
        Number of principal components. Fewer components are used if the rows do not span as many dimensions.
    max_rows : int, default=10_000
        Maximum number of random rows from which the components are learned.
    turn : bool, default=True
        Whether to rotate the components at random. If False, they are in the order of their variances.
    dtype : {"float32", "int8"}, default="float32"
        Type of the stored projection. "int8" needs a quarter of the memory and changes results in the third digit.

    Attributes
    ----------
    components_ : array of shape (n_components_, n_features), float32 or int8
        The projection. If its rows are multiplied by `scales_`, they have length 1.
    explained_variance_ratio_ : float
        Fraction of the variance that the components explain.
    n_components_ : int
    n_features_in_ : int
    offsets_ : array of shape (n_components_,), float32
        Projection of the mean code, which is subtracted from projected codes.
    scales_ : array of shape (n_components_,), float32
        Factors by which the columns of projected codes are multiplied; 1 for ``dtype="float32"``.

    Notes
    -----
    Components are computed from the Gram matrix of the rows or of the columns, whichever is smaller. If this matrix has at most
    2,000 rows, the components are exact; otherwise they are computed by subspace iteration.

    Examples
    --------
    >>> import numpy as np
    >>> from featrec.classifiers import WidePCA
    >>> codes = np.random.default_rng(0).normal(size=(50, 400)).astype(np.float32)
    >>> WidePCA(10, dtype="int8", random_state=0).fit_transform(codes).shape
    (50, 10)
    """

    _parameter_constraints = {
        "n_components": [positive_integer()],
        "max_rows": [positive_integer(2)],
        "turn": ["boolean"],
        "dtype": [StrOptions({"float32", "int8"})],
        **RANDOM_STATE,
        **JOBS,
        **VERBOSE,
    }

    def __init__(
        self,
        n_components: int = 1000,
        *,
        max_rows: int = 10_000,
        turn: bool = True,
        dtype: str = "float32",
        random_state: Any = None,
        n_jobs: int | None = None,
        verbose: int = 0,
    ):
        self.n_components = n_components
        self.max_rows = max_rows
        self.turn = turn
        self.dtype = dtype
        self.random_state = random_state
        self.n_jobs = n_jobs
        self.verbose = verbose

    def memory_needed(self, n_samples: int, n_features: int) -> int:
        """Return the maximum number of bytes that `fit` needs, including the codes in float32.

        Parameters
        ----------
        n_samples : int
        n_features : int

        Returns
        -------
        n_bytes : int
        """
        self._check_parameters()
        rows = min(n_samples, self.max_rows)
        few = min(rows, n_features)
        found = min(self.n_components, few)
        copied = rows if rows < n_samples else 0
        workers = worker_count(self.n_jobs, shared_memory=True)
        # The matrices are the sums in float64, a float32 copy, and each worker's partial sums.
        sums = 4 * found * n_features * (2 + 1 + workers)
        return 4 * (n_samples + copied) * n_features + 4 * few * few + 16 * few * found + sums + workers * OF_BLAS

    def fit(self, X: Any, y: Any = None) -> Self:
        """Learn the components without changing the codes.

        Parameters
        ----------
        X : array of shape (n, n_features)
        y : ignored

        Returns
        -------
        self
        """
        self._check_parameters()
        codes = validate_data(self, X, dtype=np.float32, order="C", ensure_min_samples=2)
        needed = self.memory_needed(*codes.shape)
        announce(f"WidePCA of {len(codes):,} codes", needed, codes.nbytes, "use a smaller max_rows", self.verbose)
        random = check_random_state(self.random_state)
        chosen = np.sort(random.permutation(len(codes))[: self.max_rows])
        centred = CentredCodes(codes if len(chosen) == len(codes) else codes[chosen], n_jobs=self.n_jobs)
        components = self._components(centred, random)
        self._keep(components)
        self.offsets_ = ((self.components_ @ centred.means.astype(np.float64)) * self.scales_).astype(np.float32)
        return self

    def transform(self, X: Any) -> np.ndarray:
        """Project codes.

        Parameters
        ----------
        X : array of shape (n, n_features)

        Returns
        -------
        projected : array of shape (n, n_components_), float32
        """
        check_is_fitted(self)
        codes = validate_data(self, X, dtype=np.float32, order="C", reset=False)
        projected = np.zeros((len(codes), len(self.components_)), np.float32)

        def part(rows: range) -> None:
            some = slice(rows.start, rows.stop)
            for start in range(0, codes.shape[1], COLUMNS):
                columns = slice(start, start + COLUMNS)
                pieces = self.components_[:, columns].astype(np.float32, copy=False)
                projected[some] += codes[some, columns] @ pieces.T
            projected[some] *= self.scales_
            projected[some] -= self.offsets_

        map_batches(part, range(len(codes)), n_jobs=self.n_jobs, batch_size=ROWS, shared_memory=True)
        return projected

    def _components(self, centred: CentredCodes, random: np.random.RandomState) -> np.ndarray:
        n, d = centred.codes.shape
        by_rows = n < d
        fill = centred.gram_of_rows if by_rows else centred.gram_of_columns
        gram = _whole(fill, min(n, d), self.n_jobs)
        total = float(np.trace(gram, dtype=np.float64))
        variances, directions = _leading_directions(gram, self.n_components, random, self.n_jobs)
        del gram
        self.n_components_ = len(variances)
        self.explained_variance_ratio_ = float(variances.sum() / total) if total > 0 else 1.0
        if self.turn:
            turn = np.linalg.qr(random.normal(size=(len(variances), len(variances))))[0]
        else:
            turn = np.eye(len(variances))
        if not by_rows:
            return (directions @ turn).T.astype(np.float32)
        return centred.transposed_times(directions / np.sqrt(variances) @ turn).T.astype(np.float32)

    def _keep(self, components: np.ndarray) -> None:
        self.components_, self.scales_ = components, np.ones(len(components), np.float32)
        if self.dtype == "int8":
            largest = np.abs(components).max(axis=1)
            self.scales_ = (np.where(largest > 0, largest, 1) / REACH).astype(np.float32)
            self.components_ = np.rint(components / self.scales_[:, None]).astype(np.int8)

    @property
    def _n_features_out(self) -> int:
        return len(self.components_)

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = True
        tags.no_validation = False
        tags.transformer_tags.preserves_dtype = ["float32"]
        return tags


def _whole(fill: Any, n: int, n_jobs: int | None) -> np.ndarray:
    """Compute a symmetric matrix from the tiles of its lower half."""
    matrix = np.empty((n, n), np.float32)
    spans = [slice(start, min(start + TILE, n)) for start in range(0, n, TILE)]
    places = [(rows, columns) for i, rows in enumerate(spans) for columns in spans[: i + 1]]

    def part(batch: list[tuple[slice, slice]]) -> None:
        ((rows, columns),) = batch
        tile = np.empty((rows.stop - rows.start, columns.stop - columns.start), np.float32)
        fill(rows, columns, tile)
        matrix[rows, columns] = tile
        matrix[columns, rows] = tile.T

    map_batches(part, places, n_jobs=n_jobs, batch_size=1, shared_memory=True)
    return matrix


def _leading_directions(
    matrix: np.ndarray, n_directions: int, random: np.random.RandomState, n_jobs: int | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Return the largest nonzero eigenvalues in descending order, and their eigenvectors as columns."""
    n = len(matrix)
    with one_inner_thread():
        if n <= SMALL or 2 * n_directions > n:
            values, vectors = linalg.eigh(matrix.astype(np.float64))
        else:
            values, vectors = _iterated(matrix, n_directions + n_directions // 10 + 10, random, n_jobs)
    values, vectors = values[::-1][:n_directions], vectors[:, ::-1][:, :n_directions]
    kept = max(1, int((values > LEAST_PART * values[0]).sum()))
    return np.maximum(values[:kept], np.finfo(np.float32).tiny), vectors[:, :kept]


def _iterated(
    matrix: np.ndarray, n_columns: int, random: np.random.RandomState, n_jobs: int | None
) -> tuple[np.ndarray, np.ndarray]:
    basis = random.normal(size=(len(matrix), n_columns)).astype(np.float32)
    for _ in range(ROUNDS):
        basis = linalg.qr(_product(matrix, basis, n_jobs), mode="economic", overwrite_a=True, check_finite=False)[0]
    values, turn = linalg.eigh((basis.T @ _product(matrix, basis, n_jobs)).astype(np.float64))
    return values, basis @ turn.astype(np.float32)


def _product(matrix: np.ndarray, basis: np.ndarray, n_jobs: int | None) -> np.ndarray:
    found = np.empty((len(matrix), basis.shape[1]), np.float32)

    def part(rows: range) -> None:
        found[rows.start : rows.stop] = matrix[rows.start : rows.stop] @ basis

    map_batches(part, range(len(matrix)), n_jobs=n_jobs, batch_size=PRODUCT_ROWS, shared_memory=True)
    return found
