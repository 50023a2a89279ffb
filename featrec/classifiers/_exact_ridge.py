"""Kernel ridge regression on all rows: one triangle, one factor, several penalties."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from featrec.classifiers._kernel_tiles import Kernel, Rows
from featrec.classifiers._penalties import ROUGH, best, middle, solutions, stratified_order
from featrec.classifiers._triangle import TILE, Triangle

__all__ = ["Fit", "Task", "compared", "fill", "fit_exact", "held_out_rows", "leading_tiles", "tile_of", "times"]

MOST_HELD_OUT = 5000
# Rows of tiles at least, where that makes no tile smaller than LEAST_TILE: with fewer, workers wait for one another.
ROWS_OF_TILES = 8
LEAST_TILE = 600


@dataclass(frozen=True)
class Task:
    """What is to be learned, and how. `intercept` has been taken off the targets; `weights` are those of the rows."""

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
        """The roots of some rows' weights, float32."""
        return None if self.weights is None else np.sqrt(self.weights[rows]).astype(np.float32)


@dataclass(frozen=True)
class Fit:
    """Weights of the rows that predict, the penalty, and each penalty's share of right answers on held-out rows."""

    weights: np.ndarray
    alpha: float
    scores: np.ndarray | None


def held_out_rows(n: int, share: float | None) -> int:
    """A tenth unless said otherwise, and then no more than 5,000."""
    wanted = min(MOST_HELD_OUT, round(n / 10)) if share is None else round(n * share)
    return min(max(1, wanted), n - 1)


def tile_of(n: int) -> int:
    """Rows of a tile for so many rows in all."""
    return min(TILE, max(LEAST_TILE, n // ROWS_OF_TILES))


def leading_tiles(n: int, share: float | None) -> tuple[int, int]:
    """How many tiles of which size hold all rows but the held-out ones, of which there may be a few more than wanted."""
    rest = n - held_out_rows(n, share)
    n_tiles = math.ceil(rest / tile_of(n))
    return n_tiles, rest // n_tiles


def fit_exact(kernel: Kernel, rows: Rows, task: Task) -> Fit:
    """The held-out rows come last, so the factor's leading tiles are the factor of the others.

    With W the diagonal matrix of the rows' weights, √W K √W + alpha takes the place of K + alpha: rows, targets and weights
    of the solution are multiplied by the roots.
    """
    if len(task.alphas) == 1:
        triangle = _factor(kernel, rows, Triangle(len(rows), tile_of(len(rows))), task, task.roots())
        solved = triangle.solve(times(task.targets, task.roots()), n_jobs=task.n_jobs)
        return Fit(times(solved, task.roots()), task.alphas[0], None)
    n_tiles, tile = leading_tiles(len(rows), task.held_out)
    order = stratified_order(task.labels, task.random_state)
    # Sorted, each part is read from one end of the codes to the other.
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
    """Each row times the root of its weight."""
    return values if roots is None else values * roots[:, None]


def _factor(kernel: Kernel, rows: Rows, triangle: Triangle, task: Task, roots: np.ndarray | None) -> Triangle:
    fill(kernel, rows, triangle, task, roots)
    triangle.add_to_diagonal(middle(task.alphas))
    triangle.cholesky(n_jobs=task.n_jobs, verbose=task.verbose)
    return triangle


def fill(kernel: Kernel, rows: Rows, triangle: Triangle, task: Task, roots: np.ndarray | None) -> None:
    """Write the kernel of all rows, times the roots of their weights on either side."""

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
    """The best penalty and each one's share of right answers, which are those of `predict`: with the intercept.

    What was found has been multiplied by the roots of the rows' weights, if they have any.
    """
    if task.weights is not None:
        found = found / np.sqrt(task.weights[unseen])[:, None]
    answers = np.split(found, len(task.alphas), axis=1)
    wanted = task.targets[unseen] + task.intercept
    counted = None if task.weights is None else task.weights[unseen]
    return best([answer + task.intercept for answer in answers], wanted, task.labels[unseen], counted)
