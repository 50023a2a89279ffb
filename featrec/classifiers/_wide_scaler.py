"""WideScaler standardises wide codes; CentredCodes multiplies centred codes. Both avoid copies."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from sklearn.base import OneToOneFeatureMixin
from sklearn.utils import Tags
from sklearn.utils.validation import check_is_fitted, validate_data

from featrec.base import JOBS, StrOptions, Transformer, real_number
from featrec.compiled._rows import column_sums, standardize
from featrec.exceptions import InputError
from featrec.model_files import Stored, check_stored_array
from featrec.parallel import each_batch, map_batches
from featrec.shared_docs import with_shared_docs

__all__ = ["GRAM_ROWS", "SWEPT_ROWS", "CentredCodes", "WideScaler"]

# Number of columns that are summed together: the sums fit into the CPU cache, and rows are read in long pieces.
COLUMNS = 2048
# Number of rows per product for the Gram matrix of columns. Fewer rows are slower; many more rows crash BLAS libraries.
GRAM_ROWS = 4096
# The Gram matrix of the rows is a sum of matrix products of this many columns each.
GRAM_COLUMNS = 4096
# Number of rows that are scaled at once, or that are centred for a product with few columns.
SWEPT_ROWS = 256
# Smallest standard deviation; the reciprocal of a smaller number would overflow float32.
SMALLEST = float(np.finfo(np.float32).tiny)


@with_shared_docs
class WideScaler(OneToOneFeatureMixin, Transformer):
    """Standardise wide codes: apply a power, scale columns to mean 0 and variance 1, and optionally scale rows to length 1.

    Pooled codes must be standardised before a ridge or kernel classifier. A pipeline of scikit-learn's ``FunctionTransformer``,
    ``StandardScaler`` and ``Normalizer`` copies the codes several times. This needs too much memory for large arrays such as
    50,000 × 28,800 codes (5.8 GB). This scaler writes each value once; with ``copy=False``, it overwrites the input array.
    `fit` raises an error if codes contain NaN or infinity.

    Parameters
    ----------
    power : float, default=1.0
        Exponent, at most 1, of the first step: x is replaced by ``sign(x)·|x|^power``. The square root, 0.5, is suitable for
        codes that are sums over many patches.
    epsilon : float, default=0.0
        Number that is added to each variance, in units of the mean variance, to avoid amplifying columns with little variance.
    unit_length : bool, default=False
        Whether to divide each standardised row by its length.
    copy : bool, default=True
        If False, overwrite and return the input array if possible (C-contiguous, float32, writeable).
    dtype : {"float32", "float16"}, default="float32"
        Type of the result. "float16" needs half the memory and rounds to three digits. The result is always a new array, but
        ``KernelRidgeClassifier(dtype="float16")`` uses it without another copy.

    Attributes
    ----------
    mean_ : array of shape (n_features,), float64
        Means of the columns after applying the power.
    var_ : array of shape (n_features,), float64
        Variances of the columns after applying the power.
    scale_ : array of shape (n_features,), float64
        Divisors of the columns: sqrt(variance + epsilon · mean variance), or 0 for a constant column. A constant column is
        replaced by zeros.
    n_features_in_ : int

    Examples
    --------
    >>> import numpy as np
    >>> from featrec.classifiers import WideScaler
    >>> codes = np.array([[4, 1, 7], [16, 1, 0], [0, 1, 7]], np.float32)
    >>> WideScaler(power=0.5).fit_transform(codes).round(2)
    array([[ 0.  ,  0.  ,  0.71],
           [ 1.22,  0.  , -1.41],
           [-1.22,  0.  ,  0.71]], dtype=float32)
    """

    _parameter_constraints = {
        "power": [real_number(0.0, 1.0, closed="right")],
        "epsilon": [real_number(0.0, closed="left")],
        "unit_length": ["boolean"],
        "copy": ["boolean"],
        "dtype": [StrOptions({"float16", "float32"})],
        **JOBS,
    }

    def __init__(
        self,
        *,
        power: float = 1.0,
        epsilon: float = 0.0,
        unit_length: bool = False,
        copy: bool = True,
        dtype: str = "float32",
        n_jobs: int | None = None,
    ):
        self.power = power
        self.epsilon = epsilon
        self.unit_length = unit_length
        self.copy = copy
        self.dtype = dtype
        self.n_jobs = n_jobs

    def fit(self, X: Any, y: Any = None) -> Self:
        """Learn means and variances without changing the codes.

        Parameters
        ----------
        X : array of shape (n, n_features)
        y : ignored

        Returns
        -------
        self
        """
        self._check_parameters()
        return self._measure(validate_data(self, X, dtype=np.float32, order="C"))

    def transform(self, X: Any) -> np.ndarray:
        """Scale codes.

        Parameters
        ----------
        X : array of shape (n, n_features)

        Returns
        -------
        scaled : array of shape (n, n_features), of `dtype`
            With ``copy=False``, `X` itself if it can be overwritten.
        """
        check_is_fitted(self)
        codes = validate_data(self, X, dtype=np.float32, order="C", reset=False)
        return self._scale(codes, given=X)

    def fit_transform(self, X: Any, y: Any = None) -> np.ndarray:
        """Fit and scale the same codes. With ``copy=False``, no second array is needed.

        Parameters
        ----------
        X : array of shape (n, n_features)
        y : ignored

        Returns
        -------
        scaled : array of shape (n, n_features), of `dtype`
        """
        self._check_parameters()
        codes = validate_data(self, X, dtype=np.float32, order="C")
        return self._measure(codes)._scale(codes, given=X)

    def _measure(self, codes: np.ndarray) -> Self:
        self.mean_, self.var_ = column_moments(codes, self.power, self.n_jobs)
        self.scale_ = np.where(self.var_ > 0, np.sqrt(self.var_ + self.epsilon * self.var_.mean()), 0.0)
        return self

    def _scale(self, codes: np.ndarray, given: Any) -> np.ndarray:
        half = self.dtype == "float16"
        if not half and (not codes.flags.writeable or (self.copy and _may_be_given(codes, given))):
            codes = codes.copy()
        scaled = np.empty(codes.shape, np.float16) if half else codes
        means, factors = self.mean_.astype(np.float32), np.zeros(len(self.mean_), np.float32)
        varied = self.scale_ > SMALLEST
        factors[varied] = 1 / self.scale_[varied]

        def part(rows: range) -> None:
            some = slice(rows.start, rows.stop)
            block = codes[some].copy() if half else codes[some]
            standardize(block, np.float32(self.power), means, factors, self.unit_length)
            if half:
                scaled[some] = _rounded(block)

        map_batches(part, range(len(codes)), n_jobs=self.n_jobs, batch_size=SWEPT_ROWS, shared_memory=True)
        return scaled

    @staticmethod
    def _check_stored_arrays(stored: Stored) -> None:
        """Check that each column has a mean and a factor, because the compiled loop relies on this."""
        if "mean_" in stored:
            for what, name in (("means", "mean_"), ("variances", "var_"), ("deviations", "scale_")):
                check_stored_array(what, stored[name], (stored["n_features_in_"],), np.float64)

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = True
        tags.no_validation = False
        tags.transformer_tags.preserves_dtype = ["float32"]
        return tags


def _rounded(block: np.ndarray) -> np.ndarray:
    with np.errstate(over="ignore"):
        rounded = block.astype(np.float16)
    if not np.isfinite(rounded).all():
        raise InputError("WideScaler: standardised codes are too large for float16; use unit_length=True")
    return rounded


def _may_be_given(codes: np.ndarray, given: Any) -> bool:
    """Return whether the codes may share memory with an array or DataFrame of the caller."""
    return not isinstance(given, np.ndarray) or np.may_share_memory(codes, given)


def column_moments(codes: np.ndarray, power: float = 1.0, n_jobs: int | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Return float64 means and variances of the columns of sign(x)·|x|^power. They are exact for constant columns."""
    n, n_columns = codes.shape
    # The first row is computed by the same loop as all rows, so the variance of a constant column is exactly 0.
    row = codes[:1].copy()
    standardize(row, np.float32(power), np.zeros(n_columns, np.float32), np.ones(n_columns, np.float32), False)
    origins = row[0].astype(np.float64)
    sums, squares = np.empty((2, n_columns))

    def part(columns: range) -> None:
        some = slice(columns.start, columns.stop)
        column_sums(codes, columns.start, np.float32(power), origins[some], sums[some], squares[some])

    map_batches(part, range(n_columns), n_jobs=n_jobs, batch_size=COLUMNS, shared_memory=True)
    away = sums / n
    return origins + away, np.maximum(squares / n - away**2, 0)


def weighted_moments(codes: np.ndarray, weights: np.ndarray, n_jobs: int | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Return float64 means and variances of the columns, with weighted rows."""
    origin = codes[0].astype(np.float64)
    shares = weights / weights.sum()
    means, squares = np.zeros((2, codes.shape[1]))

    def part(rows: range) -> tuple[np.ndarray, np.ndarray]:
        some = slice(rows.start, rows.stop)
        away = codes[some] - origin
        return shares[some] @ away, shares[some] @ away**2

    for first, second in each_batch(part, range(len(codes)), n_jobs=n_jobs, batch_size=SWEPT_ROWS, shared_memory=True):
        means += first
        squares += second
    return origin + means, np.maximum(squares - means**2, 0)


class CentredCodes:
    """Products with ``codes - codes.mean(axis=0)``, which is computed piece by piece.

    With row weights (above 0), the mean is weighted and each row is multiplied by the square root of its weight. `dtype` is the
    type of pieces and products. It would be less precise to subtract n·m·mᵀ (m is the mean) from the Gram matrix of the codes.
    """

    def __init__(
        self, codes: np.ndarray, dtype: Any = np.float32, n_jobs: int | None = None, weights: np.ndarray | None = None
    ):
        if weights is None:
            means, variances = column_moments(codes, n_jobs=n_jobs)
        else:
            means, variances = weighted_moments(codes, weights, n_jobs)
        self.codes, self.dtype, self.n_jobs = codes, np.dtype(dtype), n_jobs
        self.means = means.astype(dtype)
        self.mean_squared_length = float(variances.sum())
        self.roots = None if weights is None else np.sqrt(weights).astype(dtype)[:, None]

    def rows(self, rows: Any) -> np.ndarray:
        """Return some rows, centred and weighted."""
        return self._piece(rows, slice(None))

    def _piece(self, rows: Any, columns: slice) -> np.ndarray:
        found: np.ndarray = self.codes[rows, columns] - self.means[columns]
        if self.roots is not None:
            found *= self.roots[rows]
        return found

    def gram_of_columns(self, rows: slice, columns: slice, out: np.ndarray) -> None:
        """Compute a tile of the d × d matrix of products between columns."""
        for start in range(0, len(self.codes), GRAM_ROWS):
            some = slice(start, start + GRAM_ROWS)
            left = self._piece(some, rows)
            right = left if rows == columns else self._piece(some, columns)
            _add(left.T, right, out, first=start == 0)

    def gram_of_rows(self, rows: slice, columns: slice, out: np.ndarray) -> None:
        """Compute a tile of the n × n matrix of products between rows."""
        for start in range(0, self.codes.shape[1], GRAM_COLUMNS):
            some = slice(start, start + GRAM_COLUMNS)
            left = self._piece(rows, some)
            right = left if rows == columns else self._piece(columns, some)
            _add(left, right.T, out, first=start == 0)

    def times(self, weights: np.ndarray) -> np.ndarray:
        """Multiply the centred codes by weights of shape (d, m)."""
        products = np.empty((len(self.codes), weights.shape[1]), self.dtype)
        weights = weights.astype(self.dtype, copy=False)

        def part(rows: range) -> None:
            products[rows.start : rows.stop] = self.rows(slice(rows.start, rows.stop)) @ weights

        map_batches(part, range(len(self.codes)), n_jobs=self.n_jobs, batch_size=SWEPT_ROWS, shared_memory=True)
        return products

    def transposed_times(self, shares: np.ndarray) -> np.ndarray:
        """Multiply the transposed centred codes by an array of shape (n, m), with sums in float64."""
        shares = shares.astype(self.dtype, copy=False)
        return self._summed(lambda piece, rows: piece.T @ shares[rows], shares.shape[1])

    def squared_times(self, weights: np.ndarray) -> np.ndarray:
        """Multiply the d × d Gram matrix by weights of shape (d, m), in one pass over the codes."""
        weights = weights.astype(self.dtype, copy=False)
        return self._summed(lambda piece, rows: piece.T @ (piece @ weights), weights.shape[1])

    def _summed(self, product: Any, n_columns: int) -> np.ndarray:
        total = np.zeros((self.codes.shape[1], n_columns))

        def part(rows: range) -> np.ndarray:
            some = slice(rows.start, rows.stop)
            return product(self.rows(some), some)

        # Products are summed in the order of the rows, so the result does not depend on n_jobs.
        for found in each_batch(part, range(len(self.codes)), n_jobs=self.n_jobs, batch_size=SWEPT_ROWS, shared_memory=True):
            total += found
        return total


def _add(left: np.ndarray, right: np.ndarray, out: np.ndarray, *, first: bool) -> None:
    if first:
        np.matmul(left, right, out=out)
    else:
        out += left @ right
