"""WidePCA: principal components of wide codes, learned from some rows, and small enough to keep."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from sklearn.base import ClassNamePrefixFeaturesOutMixin
from sklearn.utils import Tags, check_random_state
from sklearn.utils.validation import check_is_fitted, validate_data

from featrec.base import JOBS, RANDOM_STATE, VERBOSE, StrOptions, Transformer, positive_integer
from featrec.classifiers._centred_codes import CentredCodes
from featrec.classifiers._leading import leading_directions
from featrec.classifiers._memory import OF_BLAS, announce
from featrec.parallel import map_batches, worker_count

__all__ = ["WidePCA"]

# Rows of one product, and its columns, which are converted to float32 for it.
ROWS, COLUMNS = 512, 2048
# The largest byte on either side of zero.
REACH = 127
# Rows or columns of a tile of the Gram matrix.
TILE = 2048


class WidePCA(ClassNamePrefixFeaturesOutMixin, Transformer):
    """Project wide codes to their principal components, and turn these so that all columns vary alike.

    For tens of thousands of columns: the components are learned from some of the rows, nothing as large as the codes is held
    beside them, and the projection can be kept in bytes. What follows is meant to measure distances, as a kernel does: these
    are the same in any turned system of coordinates. A random one has columns of about equal variance and no outliers, so
    that one step suits all where numbers are rounded to bytes (``KernelRidgeClassifier(dtype="int8")``).

    Parameters
    ----------
    n_components : int, default=1000
        How many dimensions are kept, those with the most variance; all where the rows learned from span no more.
    max_rows : int, default=10_000
        The components are learned from so many rows, drawn at random; from all where there are fewer.
    turn : bool, default=True
        Turn the components at random. False leaves them in the order of their variances.
    dtype : {"float32", "int8"}, default="float32"
        Of the projection that is kept: "int8" takes a quarter, and changes results in the third digit.
    random_state : int, RandomState or None, default=None
        Draws the rows and the turn.
    n_jobs : int or None, default=None
        Threads; None means one, or what a joblib context says.
    verbose : int, default=0
        1 writes the memory and the progress to the standard error.

    Attributes
    ----------
    components_ : array of shape (n_components_, n_features), float32 or int8
        What codes are multiplied by; times `scales_` the rows have length 1.
    explained_variance_ratio_ : float
        The share of the variance of the rows learned from that lies in the components.
    n_components_ : int
    n_features_in_ : int
    offsets_ : array of shape (n_components_,), float32
        The components of the mean, which are taken off.
    scales_ : array of shape (n_components_,), float32
        What products are multiplied by; 1 without int8.

    Notes
    -----
    Directions are found by subspace iteration on the Gram matrix of rows or of columns, whichever is smaller, and exactly
    where that has 2,000 rows at most.

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
        """The most that `fit` holds, in bytes: the codes, once as float32, and its own work.

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
        sums = 4 * found * n_features * (2 + 1 + workers)  # float64, its float32 and each worker's part
        return 4 * (n_samples + copied) * n_features + 4 * few * few + 16 * few * found + sums + workers * OF_BLAS

    def fit(self, X: Any, y: Any = None) -> Self:
        """Learn the components; the codes are only read.

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
        variances, directions = leading_directions(gram, self.n_components, random, self.n_jobs)
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
    """A symmetric matrix from tiles of its lower half."""
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
