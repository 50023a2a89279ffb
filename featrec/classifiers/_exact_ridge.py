"""Kernel ridge regression on all rows: the kernel matrix is factored once, in tiles, for several penalties."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from featrec.classifiers._codes_classifier import ROUGH, best, middle, solutions, stratified_order
from featrec.classifiers._triangle import TILE, Triangle
from featrec.exceptions import InputError
from featrec.parallel import each_batch, map_batches

__all__ = [
    "COLUMNS",
    "Fit",
    "Kernel",
    "Rows",
    "Task",
    "compared",
    "far_origin",
    "fill",
    "fit_exact",
    "held_out_rows",
    "leading_tiles",
    "mean_squared_distance",
    "tile_of",
    "times",
]

# Number of columns per product. For each product, rows are copied if their order or type must change.
COLUMNS = 2048
# Number of tile rows to which the exponential is applied at a time; these rows fit into the CPU cache.
STRIP = 64
# Smallest exponent. exp of a much smaller number would be denormal, and computing with such numbers is slow.
LEAST = -60.0
BATCH = 128
MOST_HELD_OUT = 5000
# Minimum number of tile rows, unless tiles would be smaller than LEAST_TILE. With fewer tile rows, workers are often idle.
ROWS_OF_TILES = 8
LEAST_TILE = 600


class Rows:
    """Codes in a given order, minus an origin, with their squared lengths. Parts of the codes are returned as float32."""

    def __init__(
        self, codes: np.ndarray, squares: np.ndarray, order: np.ndarray | None = None, origin: np.ndarray | None = None
    ):
        self.codes, self.order, self.origin = codes, order, origin
        self.squares = squares if order is None else squares[order]

    @staticmethod
    def of(codes: np.ndarray, n_jobs: int | None = None, origin: np.ndarray | None = None) -> tuple[Rows, np.ndarray]:
        """Return all rows in their original order, and the sum of all rows in float64."""
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
            raise InputError(f"codes are too large for {codes.dtype}; standardise them first (WideScaler or StandardScaler)")
        return Rows(codes, squares, origin=origin), total

    def __len__(self) -> int:
        return len(self.squares)

    def reordered(self, order: np.ndarray) -> Rows:
        """Return the codes, or some of them, in a different order."""
        return Rows(self.codes, self.squares, order, self.origin)

    def picked(self, places: np.ndarray) -> Rows:
        """Return some of these rows."""
        some = Rows(self.codes, self.squares[places], origin=self.origin)
        some.order = places if self.order is None else self.order[places]
        return some

    def piece(self, rows: slice, columns: slice) -> np.ndarray:
        """Return the values in some rows and columns as float32."""
        codes = self.codes[:, columns]
        found = (codes[rows] if self.order is None else codes[self.order[rows]]).astype(np.float32, copy=False)
        if self.origin is None:
            return found
        return np.subtract(found, self.origin[columns], out=None if np.may_share_memory(found, codes) else found)


def far_origin(rows: Rows, total: np.ndarray) -> np.ndarray | None:
    """Return the mean if codes are farther from 0 than from one another, otherwise None.

    Distances between centred codes are then more precise.
    """
    mean = total / len(rows)
    away = float(mean @ mean)
    return mean.astype(np.float32) if away > rows.squares.mean(dtype=np.float64) - away else None


def mean_squared_distance(rows: Rows, total: np.ndarray) -> float:
    """Return the mean squared distance over all pairs of rows, including each row with itself; 1 if all rows are equal."""
    mean = total / len(rows)
    distance = 2 * (rows.squares.mean(dtype=np.float64) - mean @ mean)
    return float(distance) if distance > 1e-12 * rows.squares.max(initial=0) else 1.0


@dataclass(frozen=True)
class Kernel:
    """The kernel exp(−scale · squared distance), or the product of two codes if `scale` is None."""

    scale: float | None

    def tile(self, left: Rows, rows: slice, right: Rows, columns: slice, out: np.ndarray) -> None:
        """Write the kernel values between some rows of `left` and some rows of `right` to `out`."""
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
        """Multiply the kernel matrix between `left` and `right` by weights for the rows of `right`, with sums in float64."""
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


@dataclass(frozen=True)
class Task:
    """Targets and options of a fit. `intercept` has been subtracted from the targets. `weights` are row weights."""

    targets: np.ndarray
    intercept: np.ndarray
    labels: np.ndarray
    alphas: Sequence[float]
    held_out: float | None
    random_state: Any
    n_jobs: int | None
    verbose: int
    weights: np.ndarray | None = None

    def roots(self, rows: Any = slice(None)) -> np.ndarray | None:
        """Return the square roots of the weights of some rows as float32."""
        return None if self.weights is None else np.sqrt(self.weights[rows]).astype(np.float32)


@dataclass(frozen=True)
class Fit:
    """Weights of the stored rows, the penalty, and the accuracy for each penalty on held-out rows."""

    weights: np.ndarray
    alpha: float
    scores: np.ndarray | None


def held_out_rows(n: int, share: float | None) -> int:
    """Return the number of held-out rows: by default a tenth, but at most 5,000."""
    wanted = min(MOST_HELD_OUT, round(n / 10)) if share is None else round(n * share)
    return min(max(1, wanted), n - 1)


def tile_of(n: int) -> int:
    """Return the number of rows per tile of a matrix with n rows."""
    return min(TILE, max(LEAST_TILE, n // ROWS_OF_TILES))


def leading_tiles(n: int, share: float | None) -> tuple[int, int]:
    """Return the number and size of the tiles of rows that are not held out. A few extra rows may be held out."""
    rest = n - held_out_rows(n, share)
    n_tiles = math.ceil(rest / tile_of(n))
    return n_tiles, rest // n_tiles


def fit_exact(kernel: Kernel, rows: Rows, task: Task) -> Fit:
    """Fit by factoring the kernel matrix once.

    Held-out rows come last, so the leading tiles of the factor are the factor of the kernel matrix without these rows. With row
    weights W, the matrix √W K √W + alpha I replaces K + alpha I, and targets and solutions are multiplied by √W.
    """
    if len(task.alphas) == 1:
        triangle = _factor(kernel, rows, Triangle(len(rows), tile_of(len(rows))), task, task.roots())
        solved = triangle.solve(times(task.targets, task.roots()), n_jobs=task.n_jobs)
        return Fit(times(solved, task.roots()), task.alphas[0], None)
    n_tiles, tile = leading_tiles(len(rows), task.held_out)
    order = stratified_order(task.labels, task.random_state)
    # The remaining rows and the held-out rows are sorted separately, because codes are read faster in memory order.
    order = np.concatenate([np.sort(order[: n_tiles * tile]), np.sort(order[n_tiles * tile :])])
    triangle = _factor(kernel, rows.reordered(order), Triangle(len(rows), tile), task, task.roots(order))
    chosen, scores = _choose(triangle, n_tiles, order, task)

    def solve(b: np.ndarray) -> np.ndarray:
        return triangle.solve(b, n_jobs=task.n_jobs)

    alpha = task.alphas[chosen]
    weights = np.empty_like(task.targets)
    (solved,) = solutions(solve, times(task.targets[order], task.roots(order)), middle(task.alphas), [alpha])
    weights[order] = times(solved, task.roots(order))
    return Fit(weights, alpha, scores)


def times(values: np.ndarray, roots: np.ndarray | None) -> np.ndarray:
    """Multiply each row by the square root of its weight."""
    return values if roots is None else values * roots[:, None]


def _factor(kernel: Kernel, rows: Rows, triangle: Triangle, task: Task, roots: np.ndarray | None) -> Triangle:
    fill(kernel, rows, triangle, task, roots)
    triangle.add_to_diagonal(middle(task.alphas))
    triangle.cholesky(n_jobs=task.n_jobs, verbose=task.verbose)
    return triangle


def fill(kernel: Kernel, rows: Rows, triangle: Triangle, task: Task, roots: np.ndarray | None) -> None:
    """Compute the kernel matrix of all rows, with rows and columns multiplied by the square roots of the row weights."""

    def part(some: slice, others: slice, out: np.ndarray) -> None:
        kernel.tile(rows, some, rows, others, out)
        if roots is not None:
            out *= roots[some, None]
            out *= roots[others]

    triangle.fill(part, n_jobs=task.n_jobs, verbose=task.verbose)


def _choose(triangle: Triangle, n_tiles: int, order: np.ndarray, task: Task) -> tuple[int, np.ndarray]:
    lead = triangle.leading(n_tiles)
    seen, unseen = order[: lead.n], order[lead.n :]

    def solve(b: np.ndarray) -> np.ndarray:
        return lead.solve(b, n_jobs=task.n_jobs)

    targets = times(task.targets[seen], task.roots(seen))
    weights = solutions(solve, targets, middle(task.alphas), task.alphas, ROUGH)
    found = triangle.product_below(n_tiles, np.hstack(weights), n_jobs=task.n_jobs)
    return compared(found, unseen, task)


def compared(found: np.ndarray, unseen: np.ndarray, task: Task) -> tuple[int, np.ndarray]:
    """Return the index of the best penalty, and the accuracy for each penalty on held-out rows.

    `found` has been multiplied by the square roots of the row weights.
    """
    if task.weights is not None:
        found = found / np.sqrt(task.weights[unseen])[:, None]
    answers = np.split(found, len(task.alphas), axis=1)
    wanted = task.targets[unseen] + task.intercept
    counted = None if task.weights is None else task.weights[unseen]
    return best([answer + task.intercept for answer in answers], wanted, task.labels[unseen], counted)
