"""Kernel ridge regression on all rows by conjugate gradients, which see the kernel matrix through its products only."""

from __future__ import annotations

import sys
from collections.abc import Callable

import numpy as np
from scipy import linalg

from featrec.classifiers._exact_ridge import Fit, Task, compared, fill, leading_tiles, tile_of, times
from featrec.classifiers._kernel_tiles import Kernel, Rows
from featrec.classifiers._penalties import stratified_order
from featrec.classifiers._triangle import Triangle
from featrec.exceptions import InputError
from featrec.parallel import each_batch, map_batches, one_inner_thread

__all__ = ["fit_iteratively", "memory_beside"]

# Rows that the preconditioner is made of: more of them cost time before the rounds and save some of them.
LANDMARKS = 2000
# At most so many rows in a hundred; few rows need few.
PART = 5
# The length of what is left, as a part of the right side's.
TOLERANCE = 1e-3
MOST_ROUNDS = 1000
# Added to the landmarks' kernel, as a part of its trace's mean, so that it can be factored in float64.
JITTER = 1e-6
ROWS = 2048


def memory_beside(n: int) -> int:
    """Bytes held beside the kernel matrix: the preconditioner's columns."""
    marks = _n_landmarks(n)
    return 4 * n * marks + 3 * 8 * marks**2


def fit_iteratively(kernel: Kernel, rows: Rows, task: Task) -> Fit:
    """Of several penalties the best on held-out rows, which come last."""
    order = stratified_order(task.labels, task.random_state)
    n_tiles, tile = leading_tiles(len(rows), task.held_out) if len(task.alphas) > 1 else (0, tile_of(len(rows)))
    order = np.concatenate([np.sort(order[: n_tiles * tile]), np.sort(order[n_tiles * tile :])])
    rows, roots = rows.reordered(order), task.roots(order)
    triangle = Triangle(len(rows), tile)
    fill(kernel, rows, triangle, task, roots)
    columns = _columns(kernel, rows, task)
    if roots is not None:
        columns *= roots[:, None]
    alpha, scores = task.alphas[0], None
    if len(task.alphas) > 1:
        chosen, scores = _choose(triangle, n_tiles, columns, order, task)
        alpha = task.alphas[chosen]
    weights = np.empty_like(task.targets)
    targets = times(task.targets[order], roots)
    weights[order] = times(_solve(triangle, _Preconditioner(columns, alpha, task.n_jobs), targets, alpha, task), roots)
    return Fit(weights, alpha, scores)


class _Preconditioner:
    """The inverse of F Fᵀ + alpha, where F Fᵀ is near the kernel matrix (the Nyström approximation)."""

    def __init__(self, columns: np.ndarray, alpha: float, n_jobs: int | None):
        self.columns, self.alpha, self.n_jobs = columns, alpha, n_jobs
        inner = _summed(columns, lambda piece, _: piece.T @ piece, n_jobs)
        inner[np.diag_indices(len(inner))] += alpha
        self.factor = linalg.cho_factor(inner, lower=True, overwrite_a=True, check_finite=False)

    def __call__(self, residuals: np.ndarray) -> np.ndarray:
        turned = _summed(self.columns, lambda piece, rows: piece.T @ residuals[rows].astype(np.float32), self.n_jobs)
        inner = linalg.cho_solve(self.factor, turned, check_finite=False).astype(np.float32)
        found = residuals.copy()

        def part(rows: range) -> None:
            some = slice(rows.start, rows.stop)
            found[some] -= self.columns[some] @ inner

        map_batches(part, range(len(found)), n_jobs=self.n_jobs, batch_size=ROWS, shared_memory=True)
        return found / self.alpha


def _columns(kernel: Kernel, rows: Rows, task: Task) -> np.ndarray:
    """F: kernel values with some rows, times the inverse of the factor of theirs."""
    some = np.linspace(0, len(rows) - 1, _n_landmarks(len(rows))).astype(np.int64)
    marks = rows.picked(some)
    own = np.empty((len(some), len(some)), np.float32)
    whole = slice(0, len(some))
    kernel.tile(marks, whole, marks, whole, own)
    own = own.astype(np.float64)
    own[np.diag_indices(len(own))] += JITTER * np.trace(own) / len(own)
    inverse = linalg.solve_triangular(linalg.cholesky(own, lower=True), np.eye(len(own)), lower=True).T.astype(np.float32)
    columns = np.empty((len(rows), len(some)), np.float32)

    def part(batch: range) -> None:
        here = slice(batch.start, batch.stop)
        values = np.empty((len(batch), len(some)), np.float32)
        kernel.tile(rows, here, marks, whole, values)
        columns[here] = values @ inverse

    map_batches(part, range(len(rows)), n_jobs=task.n_jobs, batch_size=ROWS, shared_memory=True)
    return columns


def _choose(triangle: Triangle, n_tiles: int, columns: np.ndarray, order: np.ndarray, task: Task) -> tuple[int, np.ndarray]:
    lead = triangle.leading(n_tiles)
    seen, unseen = order[: lead.n], order[lead.n :]
    weights, targets = [], times(task.targets[seen], task.roots(seen))
    for alpha in task.alphas:
        preconditioner = _Preconditioner(columns[: lead.n], alpha, task.n_jobs)
        weights.append(_solve(lead, preconditioner, targets, alpha, task))
    return compared(triangle.rows_below(n_tiles, np.hstack(weights), n_jobs=task.n_jobs), unseen, task)


def _solve(
    triangle: Triangle,
    preconditioner: Callable[[np.ndarray], np.ndarray],
    targets: np.ndarray,
    alpha: float,
    task: Task,
) -> np.ndarray:
    """x of (K + alpha) x = targets, each column with steps of its own."""
    found, residuals = np.zeros(targets.shape), targets.astype(np.float64)
    goal = TOLERANCE * np.linalg.norm(residuals, axis=0)
    towards = preconditioner(residuals)
    direction, steepness = towards.copy(), _dots(residuals, towards)
    for done in range(MOST_ROUNDS):
        product = triangle.times(direction.astype(np.float32), n_jobs=task.n_jobs) + alpha * direction
        step = steepness / np.maximum(_dots(direction, product), np.finfo(np.float64).tiny)
        found += step * direction
        residuals -= step * product
        if (np.linalg.norm(residuals, axis=0) <= goal).all():
            if task.verbose:
                sys.stderr.write(f"{done + 1:>7} rounds of conjugate gradients for a penalty of {alpha:g}\n")
            return found.astype(np.float32)
        towards = preconditioner(residuals)
        former, steepness = steepness, _dots(residuals, towards)
        direction = towards + steepness / np.maximum(former, np.finfo(np.float64).tiny) * direction
    raise InputError(
        f"conjugate gradients have not come to an end after {MOST_ROUNDS} rounds with a penalty of {alpha:g}; "
        'use a larger penalty, or solver="cholesky"'
    )


def _dots(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    return np.einsum("ij,ij->j", left, right)


def _summed(rows: np.ndarray, product: Callable[[np.ndarray, slice], np.ndarray], n_jobs: int | None) -> np.ndarray:
    """A sum over pieces of rows in float64, in their order, so that the number of threads changes nothing."""

    def part(some: range) -> np.ndarray:
        here = slice(some.start, some.stop)
        return product(rows[here], here)

    total: np.ndarray | None = None
    with one_inner_thread():
        for found in each_batch(part, range(len(rows)), n_jobs=n_jobs, batch_size=ROWS, shared_memory=True):
            total = found.astype(np.float64) if total is None else np.add(total, found, out=total)
    assert total is not None
    return total


def _n_landmarks(n: int) -> int:
    return max(1, min(LANDMARKS, n // PART))
