"""Triangle: the lower half of a large symmetric matrix in tiles, its Cholesky factor in the same memory, and solves."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from typing import Any

import numpy as np

from featrec.classifiers._triangle_tiles import divide, factor, inverted_pieces, solve_tile
from featrec.exceptions import InputError
from featrec.parallel import each_batch, map_batches, one_inner_thread, worker_count

__all__ = ["Triangle"]

# Larger products have crashed BLAS libraries, smaller ones are slower.
TILE = 2400
# Products of a tile with a few columns: starting threads takes as long as one or two of them.
WORTH_THREADS = 4


class Triangle:
    """The lower triangle of a symmetric n × n matrix in square tiles, each one C-contiguous array.

    The order is `fill`, perhaps `add_to_diagonal`, `cholesky` (which overwrites the matrix by its factor), then the solves.
    A tile on the diagonal is kept whole; what stands in its upper half is never read. Besides its tiles the work holds one
    tile for each worker, and no call of BLAS is larger than a tile by a tile. Memory is taken as tiles are filled.

    Parameters
    ----------
    n : int
        Rows of the matrix; no multiple of `tile` is needed.
    tile : int, default=2400
        Rows and columns of a tile; the last ones are smaller.
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
        """The rows of each row of tiles, which are the columns of each column of tiles too."""
        return [slice(start, min(start + self.tile, self.n)) for start in range(0, self.n, self.tile)]

    @staticmethod
    def memory_needed(n: int, tile: int = TILE, *, dtype: Any = np.float32) -> int:
        """Bytes of all tiles: about half of n × n.

        Parameters
        ----------
        n : int
        tile : int, default=2400
        dtype : float32 or float64, default=float32

        Returns
        -------
        n_bytes : int
        """
        whole, rest = divmod(n, min(tile, max(1, n)))
        numbers = (whole * (whole + 1) // 2) * min(tile, n) ** 2 + rest * n
        return numbers * np.dtype(dtype).itemsize

    @staticmethod
    def n_tiles(n: int, tile: int = TILE) -> int:
        """How many tiles there are.

        Parameters
        ----------
        n : int
        tile : int, default=2400

        Returns
        -------
        n_tiles : int
        """
        rows = math.ceil(n / tile)
        return rows * (rows + 1) // 2

    def fill(self, part: Callable[[slice, slice, np.ndarray], Any], n_jobs: int | None = None, verbose: int = 0) -> None:
        """Call `part(rows, columns, out)` for each tile; it writes these rows and columns of the matrix into `out`.

        Parameters
        ----------
        part : callable
        n_jobs : int or None, default=None
        verbose : int, default=0
        """
        spans = self.spans

        def work(places: list[tuple[int, int]]) -> None:
            for i, j in places:
                part(spans[i], spans[j], self.tiles[i][j])

        map_batches(work, self._places(0), n_jobs=n_jobs, batch_size=1, verbose=verbose, label="tiles", shared_memory=True)

    def add_to_diagonal(self, value: float) -> None:
        """Add one number to every element of the diagonal.

        Parameters
        ----------
        value : float
        """
        for i, row in enumerate(self.tiles):
            row[i][np.diag_indices(len(row[i]))] += self.dtype.type(value)

    def cholesky(self, n_jobs: int | None = None, verbose: int = 0) -> None:
        """Overwrite the matrix by its lower Cholesky factor; an error names the row where it is not positive definite.

        Parameters
        ----------
        n_jobs : int or None, default=None
        verbose : int, default=0
        """
        start, told = time.perf_counter(), 0
        with _narrow(n_jobs):
            for k, span in enumerate(self.spans):
                self._factor_diagonal(k)
                self._each(partial(self._divide, k, inverted_pieces(self.tiles[k][k])), self._below(k), n_jobs)
                self._each(partial(self._subtract, k), self._places(k + 1), n_jobs)
                # What is left to do falls with the cube of the rows that are left.
                tenth = int(10 * (1 - (1 - span.stop / self.n) ** 3))
                if verbose and tenth > told and time.perf_counter() - start > 2:
                    told = tenth
                    sys.stderr.write(f"{10 * tenth:>7} % of the Cholesky factor, {time.perf_counter() - start:.1f} s\n")

    def solve(self, b: np.ndarray, *, n_jobs: int | None = None) -> np.ndarray:
        """x of A x = b, where A is the matrix whose factor this is.

        Parameters
        ----------
        b : array of shape (n, n_columns)
        n_jobs : int or None, default=None

        Returns
        -------
        x : array of shape (n, n_columns)
        """
        return self.solve_upper(self.solve_lower(b, n_jobs=n_jobs), n_jobs=n_jobs)

    def solve_lower(self, b: np.ndarray, *, n_jobs: int | None = None) -> np.ndarray:
        """x of L x = b, where L is the factor.

        Parameters
        ----------
        b : array of shape (n, n_columns)
        n_jobs : int or None, default=None

        Returns
        -------
        x : array of shape (n, n_columns)
        """
        x, spans = self._right_side(b), self.spans

        def below(k: int, i: int) -> None:
            x[spans[i]] -= self.tiles[i][k] @ x[spans[k]]

        with _narrow(n_jobs):
            for k, span in enumerate(spans):
                x[span] = solve_tile(self.tiles[k][k], x[span], transposed=False)
                self._each(partial(below, k), self._below(k), n_jobs, WORTH_THREADS)
        return x

    def solve_upper(self, b: np.ndarray, *, n_jobs: int | None = None) -> np.ndarray:
        """x of Lᵀ x = b, where L is the factor.

        Parameters
        ----------
        b : array of shape (n, n_columns)
        n_jobs : int or None, default=None

        Returns
        -------
        x : array of shape (n, n_columns)
        """
        x, spans = self._right_side(b), self.spans

        def above(k: int, j: int) -> None:
            x[spans[j]] -= self.tiles[k][j].T @ x[spans[k]]

        with _narrow(n_jobs):
            for k, span in reversed(list(enumerate(spans))):
                x[span] = solve_tile(self.tiles[k][k], x[span], transposed=True)
                self._each(partial(above, k), list(range(k)), n_jobs, WORTH_THREADS)
        return x

    def product_below(self, n_tiles: int, x: np.ndarray, *, n_jobs: int | None = None) -> np.ndarray:
        """What the matrix had below its leading rows of tiles, times x: its own numbers are gone, their factors are there.

        Parameters
        ----------
        n_tiles : int
            How many rows of tiles lead.
        x : array of shape (n_leading, n_columns)
        n_jobs : int or None, default=None

        Returns
        -------
        products : array of shape (n - n_leading, n_columns)
        """
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
        """The matrix, before it is factored, times x.

        Parameters
        ----------
        x : array of shape (n, n_columns), float32
        n_jobs : int or None, default=None

        Returns
        -------
        products : array of shape (n, n_columns), float64
        """
        spans, products = self.spans, np.zeros(x.shape)

        def part(places: list[tuple[int, int]]) -> tuple[tuple[int, int], np.ndarray, np.ndarray]:
            ((i, j),) = places
            tile = self.tiles[i][j]
            return (i, j), tile @ x[spans[j]], tile.T @ x[spans[i]]

        # In the order of the tiles, so that the number of threads changes nothing.
        for (i, j), across, down in each_batch(part, self._places(0), n_jobs=n_jobs, batch_size=1, shared_memory=True):
            products[spans[i]] += across
            if i != j:
                products[spans[j]] += down
        return products

    def rows_below(self, n_tiles: int, x: np.ndarray, *, n_jobs: int | None = None) -> np.ndarray:
        """What the matrix, before it is factored, has below its leading rows of tiles, times x.

        Parameters
        ----------
        n_tiles : int
            How many rows of tiles lead.
        x : array of shape (n_leading, n_columns), float32
        n_jobs : int or None, default=None

        Returns
        -------
        products : array of shape (n - n_leading, n_columns)
        """
        spans = self.spans

        def part(numbers: list[int]) -> np.ndarray:
            return sum(self.tiles[numbers[0]][j] @ x[spans[j]] for j in range(n_tiles))

        numbers = list(range(n_tiles, len(spans)))
        return np.vstack(list(each_batch(part, numbers, n_jobs=n_jobs, batch_size=1, shared_memory=True)))

    def leading(self, n_tiles: int) -> Triangle:
        """The first rows of tiles, sharing their memory: of a factor, the factor of the matrix's leading block.

        Parameters
        ----------
        n_tiles : int

        Returns
        -------
        triangle : Triangle
        """
        part = Triangle(0, dtype=self.dtype)
        part.n, part.tile, part.tiles = min(self.n, n_tiles * self.tile), self.tile, self.tiles[:n_tiles]
        return part

    def copy(self) -> Triangle:
        """Another one with the same numbers.

        Returns
        -------
        triangle : Triangle
        """
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
            raise InputError(f"the right side of {self.n} equations has shape {b.shape}; it must be ({self.n}, n_columns)")
        return np.array(b, dtype=self.dtype, order="C")

    def _factor_diagonal(self, k: int) -> None:
        broken = factor(self.tiles[k][k])
        if broken is not None:
            raise InputError(
                f"the matrix is not positive definite at row {self.spans[k].start + broken} of {self.n} in {self.dtype}; "
                "add more to its diagonal (a larger penalty)"
            )

    def _divide(self, k: int, pieces: list[np.ndarray], i: int) -> None:
        divide(self.tiles[i][k], self.tiles[k][k], pieces)

    def _subtract(self, k: int, place: tuple[int, int]) -> None:
        i, j = place
        self.tiles[i][j] -= self.tiles[i][k] @ self.tiles[j][k].T


def _narrow(n_jobs: int | None) -> AbstractContextManager[None]:
    """Several workers share the tiles; what lies between is short, and BLAS's own threads would wait for one another."""
    return one_inner_thread() if worker_count(n_jobs, shared_memory=True) > 1 else nullcontext()


def _length(span: slice) -> int:
    return int(span.stop - span.start)
