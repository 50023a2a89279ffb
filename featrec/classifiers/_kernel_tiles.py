"""Values of a kernel between two sets of codes, one tile at a time, without a copy of the codes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from featrec.classifiers._triangle import TILE
from featrec.exceptions import InputError
from featrec.parallel import each_batch, map_batches

__all__ = ["Kernel", "Rows", "far_origin", "mean_squared_distance"]

# Columns of one product; wider ones would make the pieces that are gathered or converted as large as the codes.
COLUMNS = 2048
# Rows of a tile that are finished at once: they stay in the cache.
STRIP = 64
# exp of less is 0 for our purpose; much less would be denormal, which is slow.
LEAST = -60.0
BATCH = 128


class Rows:
    """Codes in a given order, counted from an origin, with their squared lengths; pieces are handed out as float32."""

    def __init__(
        self, codes: np.ndarray, squares: np.ndarray, order: np.ndarray | None = None, origin: np.ndarray | None = None
    ):
        self.codes, self.order, self.origin = codes, order, origin
        self.squares = squares if order is None else squares[order]

    @staticmethod
    def of(codes: np.ndarray, n_jobs: int | None = None, origin: np.ndarray | None = None) -> tuple[Rows, np.ndarray]:
        """All rows in their own order, and their sum in float64."""
        squares, total = np.empty(len(codes), np.float32), np.zeros(codes.shape[1])

        def part(rows: range) -> tuple[range, np.ndarray, np.ndarray]:
            block = codes[rows.start : rows.stop].astype(np.float64)
            if origin is not None:
                block -= origin
            with np.errstate(invalid="ignore"):
                return rows, np.einsum("ij,ij->i", block, block), block.sum(axis=0)

        for rows, lengths, sums in each_batch(part, range(len(codes)), n_jobs=n_jobs, batch_size=BATCH, shared_memory=True):
            with np.errstate(over="ignore", invalid="ignore"):
                squares[rows.start : rows.stop] = lengths
                total += sums
        if not np.isfinite(squares).all():
            raise InputError(f"codes are too large for {codes.dtype}; standardise them first (WideScaler, StandardScaler)")
        return Rows(codes, squares, origin=origin), total

    def __len__(self) -> int:
        return len(self.squares)

    def reordered(self, order: np.ndarray) -> Rows:
        """The same codes in another order, or some of them."""
        return Rows(self.codes, self.squares, order, self.origin)

    def picked(self, places: np.ndarray) -> Rows:
        """Some of these rows."""
        some = Rows(self.codes, self.squares[places], origin=self.origin)
        some.order = places if self.order is None else self.order[places]
        return some

    def piece(self, rows: slice, columns: slice) -> np.ndarray:
        """Some rows and columns as float32."""
        codes = self.codes[:, columns]
        found = (codes[rows] if self.order is None else codes[self.order[rows]]).astype(np.float32, copy=False)
        if self.origin is None:
            return found
        return np.subtract(found, self.origin[columns], out=None if np.may_share_memory(found, codes) else found)


def far_origin(rows: Rows, total: np.ndarray) -> np.ndarray | None:
    """The mean of codes that lie farther from 0 than from one another: distances are taken from there, or they lose digits."""
    mean = total / len(rows)
    away = float(mean @ mean)
    return mean.astype(np.float32) if away > rows.squares.mean(dtype=np.float64) - away else None


def mean_squared_distance(rows: Rows, total: np.ndarray) -> float:
    """Over all pairs of rows, a row and itself included; 1 where all rows are one."""
    mean = total / len(rows)
    distance = 2 * (rows.squares.mean(dtype=np.float64) - mean @ mean)
    return float(distance) if distance > 1e-12 * rows.squares.max(initial=0) else 1.0


@dataclass(frozen=True)
class Kernel:
    """exp(−scale · squared distance), or the product itself where there is no scale."""

    scale: float | None

    def tile(self, left: Rows, rows: slice, right: Rows, columns: slice, out: np.ndarray) -> None:
        """Write the values between some rows of one and some of the other."""
        same = left is right and rows == columns
        values = out if out.dtype == np.float32 else np.empty(out.shape, np.float32)
        for start in range(0, left.codes.shape[1], COLUMNS):
            width = slice(start, start + COLUMNS)
            first = left.piece(rows, width)
            second = first if same else right.piece(columns, width)
            if start:
                values += first @ second.T
            else:
                np.matmul(first, second.T, out=values)
        if self.scale is not None:
            self._finish(values, left.squares[rows], right.squares[columns])
        if values is not out:
            out[:] = values

    def products(self, left: Rows, right: Rows, weights: np.ndarray, n_jobs: int | None = None) -> np.ndarray:
        """The kernel between all rows of both, times the weights of the right ones; float64, and never held whole."""
        found = np.zeros((len(left), weights.shape[1]))

        def part(some: range) -> None:
            rows = slice(some.start, some.stop)
            for start in range(0, len(right), TILE):
                columns = slice(start, min(start + TILE, len(right)))
                values = np.empty((len(some), columns.stop - start), np.float32)
                self.tile(left, rows, right, columns, values)
                found[rows] += values @ weights[columns].astype(np.float32)

        map_batches(part, range(len(left)), n_jobs=n_jobs, batch_size=TILE // 2, shared_memory=True)
        return found

    def _finish(self, values: np.ndarray, left: np.ndarray, right: np.ndarray) -> None:
        scale = np.float32(self.scale)
        for start in range(0, len(values), STRIP):
            strip = values[start : start + STRIP]
            strip *= 2 * scale
            strip -= scale * left[start : start + STRIP, None]
            strip -= scale * right
            np.clip(strip, LEAST, 0, out=strip)
            np.exp(strip, out=strip)
