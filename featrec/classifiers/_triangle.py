"""Triangle: the lower half of a large symmetric matrix, stored in tiles and factored in place to solve linear systems."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from typing import Any

import numpy as np
from scipy.linalg import get_blas_funcs, get_lapack_funcs

from featrec.exceptions import InputError
from featrec.parallel import each_batch, map_batches, one_inner_thread, worker_count

__all__ = ["TILE", "Triangle"]

# Number of rows and columns of a tile. Larger products have crashed BLAS libraries; smaller products are slower.
TILE = 2400
# Minimum number of small products (of a tile with a few columns) for which threads are faster.
WORTH_THREADS = 4
# Width of the pieces of a factor that are inverted and multiplied by NumPy. SciPy's triangular solves would hold the GIL.
PIECE = 240


class Triangle:
    """The lower triangle of a symmetric n × n matrix in square tiles; each tile is a C-contiguous array.

    Call `fill`, optionally `add_to_diagonal`, then `cholesky` (which overwrites the matrix with its factor), then `solve`. The
    upper halves of the tiles on the diagonal are never read. Each worker needs memory for one more tile, and no BLAS call
    multiplies more than two tiles. The operating system allocates the memory when tiles are filled.

    Parameters
    ----------
    n : int
        Number of rows of the matrix.
    tile : int, default=2400
        Number of rows and columns of a tile. The last tiles may be smaller.
    dtype : float32 or float64, default=float32
    """

    def __init__(self, n: int, tile: int = TILE, *, dtype: Any = np.float32):
        self.n, self.tile, self.dtype = n, min(tile, max(1, n)), np.dtype(dtype)
        spans = self.spans
        self.tiles: list[list[np.ndarray]] = [
            [np.empty((_length(row), _length(column)), dtype) for column in spans[: i + 1]] for i, row in enumerate(spans)
        ]

    @property
    def spans(self) -> list[slice]:
        """Slices of the matrix rows, one for each tile row. The columns are divided in the same way."""
        return [slice(start, min(start + self.tile, self.n)) for start in range(0, self.n, self.tile)]

    @staticmethod
    def memory_needed(n: int, tile: int = TILE, *, dtype: Any = np.float32) -> int:
        """Return the number of bytes of all tiles, about half of an n × n matrix."""
        whole, rest = divmod(n, min(tile, max(1, n)))
        numbers = (whole * (whole + 1) // 2) * min(tile, n) ** 2 + rest * n
        return numbers * np.dtype(dtype).itemsize

    @staticmethod
    def n_tiles(n: int, tile: int = TILE) -> int:
        """Return the number of tiles."""
        rows = math.ceil(n / tile)
        return rows * (rows + 1) // 2

    def fill(self, part: Callable[[slice, slice, np.ndarray], Any], n_jobs: int | None = None, verbose: int = 0) -> None:
        """Fill each tile by calling `part(rows, columns, out)`, which writes these rows and columns of the matrix to `out`."""
        spans = self.spans

        def work(places: list[tuple[int, int]]) -> None:
            for i, j in places:
                part(spans[i], spans[j], self.tiles[i][j])

        map_batches(work, self._places(0), n_jobs=n_jobs, batch_size=1, verbose=verbose, label="tiles", shared_memory=True)

    def add_to_diagonal(self, value: float) -> None:
        """Add a number to the diagonal."""
        for i, row in enumerate(self.tiles):
            row[i][np.diag_indices(len(row[i]))] += self.dtype.type(value)

    def cholesky(self, n_jobs: int | None = None, verbose: int = 0) -> None:
        """Overwrite the matrix with its lower Cholesky factor. If the matrix is not positive definite, raise an InputError."""
        start, told = time.perf_counter(), 0
        with _narrow(n_jobs):
            for k, span in enumerate(self.spans):
                self._factor_diagonal(k)
                self._each(partial(self._divide, k, inverted_pieces(self.tiles[k][k])), self._below(k), n_jobs)
                self._each(partial(self._subtract, k), self._places(k + 1), n_jobs)
                # The remaining work is proportional to the cube of the number of remaining rows.
                tenth = int(10 * (1 - (1 - span.stop / self.n) ** 3))
                if verbose and tenth > told and time.perf_counter() - start > 2:
                    told = tenth
                    sys.stderr.write(f"{10 * tenth:>7} % of the Cholesky factor, {time.perf_counter() - start:.1f} s\n")

    def solve(self, b: np.ndarray, *, n_jobs: int | None = None) -> np.ndarray:
        """Solve A x = b, where A is the matrix that was factored and `b` has shape (n, n_columns)."""
        return self.solve_upper(self.solve_lower(b, n_jobs=n_jobs), n_jobs=n_jobs)

    def solve_lower(self, b: np.ndarray, *, n_jobs: int | None = None) -> np.ndarray:
        """Solve L x = b, where L is the factor."""
        x, spans = self._right_side(b), self.spans

        def below(k: int, i: int) -> None:
            x[spans[i]] -= self.tiles[i][k] @ x[spans[k]]

        with _narrow(n_jobs):
            for k, span in enumerate(spans):
                x[span] = solve_tile(self.tiles[k][k], x[span], transposed=False)
                self._each(partial(below, k), self._below(k), n_jobs, WORTH_THREADS)
        return x

    def solve_upper(self, b: np.ndarray, *, n_jobs: int | None = None) -> np.ndarray:
        """Solve Lᵀ x = b, where L is the factor."""
        x, spans = self._right_side(b), self.spans

        def above(k: int, j: int) -> None:
            x[spans[j]] -= self.tiles[k][j].T @ x[spans[k]]

        with _narrow(n_jobs):
            for k, span in reversed(list(enumerate(spans))):
                x[span] = solve_tile(self.tiles[k][k], x[span], transposed=True)
                self._each(partial(above, k), list(range(k)), n_jobs, WORTH_THREADS)
        return x

    def product_below(self, n_tiles: int, x: np.ndarray, *, n_jobs: int | None = None) -> np.ndarray:
        """Multiply the matrix rows below the first `n_tiles` tile rows by x. The matrix rows are computed from the factor."""
        spans, lead = self.spans, self.leading(n_tiles)
        x, turned = lead._right_side(x), np.empty((lead.n, x.shape[1]), self.dtype)
        products = np.empty((self.n - lead.n, x.shape[1]), self.dtype)

        def turn(j: int) -> None:
            turned[spans[j]] = np.tril(self.tiles[j][j]).T @ x[spans[j]]
            for i in range(j + 1, n_tiles):
                turned[spans[j]] += self.tiles[i][j].T @ x[spans[i]]

        def multiply(i: int) -> None:
            rows = slice(spans[i].start - lead.n, spans[i].stop - lead.n)
            products[rows] = sum(self.tiles[i][j] @ turned[spans[j]] for j in range(n_tiles))

        self._each(turn, list(range(n_tiles)), n_jobs)
        self._each(multiply, list(range(n_tiles, len(spans))), n_jobs)
        return products

    def times(self, x: np.ndarray, *, n_jobs: int | None = None) -> np.ndarray:
        """Multiply the matrix, which must not be factored yet, by x in float64."""
        spans, products = self.spans, np.zeros(x.shape)

        def part(places: list[tuple[int, int]]) -> tuple[tuple[int, int], np.ndarray, np.ndarray]:
            ((i, j),) = places
            tile = self.tiles[i][j]
            return (i, j), tile @ x[spans[j]], tile.T @ x[spans[i]]

        # Products are summed in the order of the tiles, so the result does not depend on n_jobs.
        for (i, j), across, down in each_batch(part, self._places(0), n_jobs=n_jobs, batch_size=1, shared_memory=True):
            products[spans[i]] += across
            if i != j:
                products[spans[j]] += down
        return products

    def rows_below(self, n_tiles: int, x: np.ndarray, *, n_jobs: int | None = None) -> np.ndarray:
        """Multiply the matrix rows below the first `n_tiles` tile rows by x. The matrix must not be factored yet."""
        spans = self.spans

        def part(numbers: list[int]) -> np.ndarray:
            return sum(self.tiles[numbers[0]][j] @ x[spans[j]] for j in range(n_tiles))

        numbers = list(range(n_tiles, len(spans)))
        return np.vstack(list(each_batch(part, numbers, n_jobs=n_jobs, batch_size=1, shared_memory=True)))

    def leading(self, n_tiles: int) -> Triangle:
        """Return the first `n_tiles` tile rows without a copy.

        If the matrix is factored, this is the factor of its leading block.
        """
        part = Triangle(0, dtype=self.dtype)
        part.n, part.tile, part.tiles = min(self.n, n_tiles * self.tile), self.tile, self.tiles[:n_tiles]
        return part

    def copy(self) -> Triangle:
        part = self.leading(len(self.tiles))
        part.tiles = [[tile.copy() for tile in row] for row in self.tiles]
        return part

    def _places(self, first: int) -> list[tuple[int, int]]:
        return [(i, j) for i in range(first, len(self.tiles)) for j in range(first, i + 1)]

    def _below(self, k: int) -> list[int]:
        return list(range(k + 1, len(self.tiles)))

    @staticmethod
    def _each(work: Callable[[Any], None], places: list, n_jobs: int | None, least: int = 2) -> None:
        if len(places) < least:
            n_jobs = 1
        map_batches(lambda batch: work(batch[0]), places, n_jobs=n_jobs, batch_size=1, shared_memory=True)

    def _right_side(self, b: np.ndarray) -> np.ndarray:
        if b.ndim != 2 or len(b) != self.n:
            raise InputError(f"the right-hand side of {self.n} equations must have shape ({self.n}, n_columns); got {b.shape}")
        return np.array(b, dtype=self.dtype, order="C")

    def _factor_diagonal(self, k: int) -> None:
        broken = factor(self.tiles[k][k])
        if broken is not None:
            raise InputError(
                f"the matrix is not positive definite at row {self.spans[k].start + broken} of {self.n} in {self.dtype}; "
                "increase its diagonal (use a larger penalty)"
            )

    def _divide(self, k: int, pieces: list[np.ndarray], i: int) -> None:
        divide(self.tiles[i][k], self.tiles[k][k], pieces)

    def _subtract(self, k: int, place: tuple[int, int]) -> None:
        i, j = place
        self.tiles[i][j] -= self.tiles[i][k] @ self.tiles[j][k].T


def _narrow(n_jobs: int | None) -> AbstractContextManager[None]:
    """Limit BLAS to one thread if several workers process tiles."""
    return one_inner_thread() if worker_count(n_jobs, shared_memory=True) > 1 else nullcontext()


def _length(span: slice) -> int:
    return int(span.stop - span.start)


def factor(tile: np.ndarray) -> int | None:
    """Overwrite a tile with its lower Cholesky factor. Return the row at which it is not positive definite, or None."""
    (potrf,) = get_lapack_funcs(("potrf",), (tile,))
    # LAPACK sees a C-contiguous tile as its transpose, without a copy. LAPACK's upper factor is therefore our lower factor.
    _, info = potrf(tile.T, lower=0, clean=0, overwrite_a=1)
    if info > 0:
        return int(info) - 1
    broken = np.flatnonzero(~np.isfinite(tile.diagonal()))
    return int(broken[0]) if len(broken) else None


def solve_tile(tile: np.ndarray, b: np.ndarray, *, transposed: bool) -> np.ndarray:
    """Solve L x = b, or Lᵀ x = b, where L is the lower half of a tile."""
    (solve,) = get_blas_funcs(("trsm",), (tile,))
    return solve(1, tile.T, b, lower=0, trans_a=0 if transposed else 1)


def inverted_pieces(tile: np.ndarray) -> list[np.ndarray]:
    """Return the transposed inverse of each piece on the diagonal of a factor."""
    (invert,) = get_lapack_funcs(("trtri",), (tile,))
    pieces = []
    for start in range(0, len(tile), PIECE):
        piece = tile[start : start + PIECE, start : start + PIECE]
        pieces.append(invert(np.tril(piece), lower=1)[0].T)
    return pieces


def divide(tile: np.ndarray, factor: np.ndarray, pieces: list[np.ndarray]) -> None:
    """Compute tile @ inverse(factor).T in place, PIECE columns at a time."""
    for number, inverse in enumerate(pieces):
        start = number * PIECE
        columns = tile[:, start : start + PIECE]
        if start:
            columns -= tile[:, :start] @ factor[start : start + PIECE, :start].T
        columns[:] = columns @ inverse
