"""Codes less their means, weighted where rows have weights, and products with them, without a copy of the codes."""

from __future__ import annotations

from typing import Any

import numpy as np

from featrec.compiled._rows import column_sums, standardize
from featrec.parallel import each_batch, map_batches

__all__ = ["GRAM_ROWS", "SWEPT_ROWS", "CentredCodes", "column_moments"]

# A task's columns: their sums stay in a core's cache, and each row gives a run of bytes long enough to be read ahead.
COLUMNS = 2048
# Rows of one product for the Gram matrix; fewer are slower, many more crash BLAS libraries.
GRAM_ROWS = 4096
# Columns of one product for the Gram matrix of rows.
GRAM_COLUMNS = 4096
# Rows that are centred at once for products with few columns.
SWEPT_ROWS = 256


def column_moments(codes: np.ndarray, power: float = 1.0, n_jobs: int | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Means and variances of the columns of sign(x)·|x|^power, in float64; those of a constant column are exact."""
    n, n_columns = codes.shape
    # By the same loop as the rest, or the first row of a constant column would not be that constant.
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
    """Means and variances of the columns where each row counts by its weight, in float64."""
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
    """What ``codes - codes.mean(axis=0)`` would give, piece by piece.

    With weights the mean is the weighted one, and each row is multiplied by the root of its weight.

    Pieces are subtracted before they are multiplied: taking n·m·mᵀ off the finished Gram matrix loses digits where means are
    large, and costs no less memory.

    Parameters
    ----------
    codes : array of shape (n, d), float32
    dtype : float32 or float64
        Of the pieces and of the products.
    n_jobs : int or None, default=None
    weights : array of shape (n,), optional
        Above 0.
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
        """Some rows, centred and weighted."""
        return self._piece(rows, slice(None))

    def _piece(self, rows: Any, columns: slice) -> np.ndarray:
        found: np.ndarray = self.codes[rows, columns] - self.means[columns]
        if self.roots is not None:
            found *= self.roots[rows]
        return found

    def gram_of_columns(self, rows: slice, columns: slice, out: np.ndarray) -> None:
        """A tile of the d × d matrix of products between columns."""
        for start in range(0, len(self.codes), GRAM_ROWS):
            some = slice(start, start + GRAM_ROWS)
            left = self._piece(some, rows)
            right = left if rows == columns else self._piece(some, columns)
            _add(left.T, right, out, first=start == 0)

    def gram_of_rows(self, rows: slice, columns: slice, out: np.ndarray) -> None:
        """A tile of the n × n matrix of products between rows."""
        for start in range(0, self.codes.shape[1], GRAM_COLUMNS):
            some = slice(start, start + GRAM_COLUMNS)
            left = self._piece(rows, some)
            right = left if rows == columns else self._piece(columns, some)
            _add(left, right.T, out, first=start == 0)

    def times(self, weights: np.ndarray) -> np.ndarray:
        """Centred codes times (d, m) weights."""
        products = np.empty((len(self.codes), weights.shape[1]), self.dtype)
        weights = weights.astype(self.dtype, copy=False)

        def part(rows: range) -> None:
            products[rows.start : rows.stop] = self.rows(slice(rows.start, rows.stop)) @ weights

        map_batches(part, range(len(self.codes)), n_jobs=self.n_jobs, batch_size=SWEPT_ROWS, shared_memory=True)
        return products

    def transposed_times(self, shares: np.ndarray) -> np.ndarray:
        """The transpose of centred codes times (n, m) shares, summed in float64."""
        shares = shares.astype(self.dtype, copy=False)
        return self._summed(lambda piece, rows: piece.T @ shares[rows], shares.shape[1])

    def squared_times(self, weights: np.ndarray) -> np.ndarray:
        """The d × d Gram matrix times (d, m) weights, in one sweep over the codes."""
        weights = weights.astype(self.dtype, copy=False)
        return self._summed(lambda piece, rows: piece.T @ (piece @ weights), weights.shape[1])

    def _summed(self, product: Any, n_columns: int) -> np.ndarray:
        total = np.zeros((self.codes.shape[1], n_columns))

        def part(rows: range) -> np.ndarray:
            some = slice(rows.start, rows.stop)
            return product(self.rows(some), some)

        # In the order of the rows, so that the number of threads changes nothing.
        for found in each_batch(part, range(len(self.codes)), n_jobs=self.n_jobs, batch_size=SWEPT_ROWS, shared_memory=True):
            total += found
        return total


def _add(left: np.ndarray, right: np.ndarray, out: np.ndarray, *, first: bool) -> None:
    if first:
        np.matmul(left, right, out=out)
    else:
        out += left @ right
