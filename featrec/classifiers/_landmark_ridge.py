"""Kernel ridge regression in the span of some rows, the landmarks: memory grows with their number, not with that of rows."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import numpy as np

from featrec.classifiers._exact_ridge import Fit, Task, compared, held_out_rows, times
from featrec.classifiers._kernel_tiles import Kernel, Rows
from featrec.classifiers._penalties import middle, solutions, stratified_order
from featrec.classifiers._triangle import TILE, Triangle
from featrec.exceptions import InputError
from featrec.parallel import each_batch, map_batches

__all__ = ["fit_landmarks"]

# Added to the landmarks' diagonal, relative to its mean: the kernel's float32 numbers are no more exact than this allows. Where
# the first will not do, as among codes of very unequal lengths, the next is tried.
JITTERS = (1e-5, 1e-4, 1e-3)


def fit_landmarks(kernel: Kernel, rows: Rows, landmarks: Rows, task: Task) -> Fit:
    """Ridge regression on features whose products are the kernel's as far as the landmarks tell.

    Normal equations in the kernel's own values cannot be factored in any usual precision: the landmarks' kernel is factored
    first, and its triangular solve turns kernel values into features. All sums are float64.
    """
    basis = _factor_of(kernel, landmarks, task)
    products = Triangle(len(landmarks), dtype=np.float64)
    products.fill(lambda some, others, out: out.fill(0))
    sums = np.zeros((len(landmarks), task.targets.shape[1]))

    def add(part: np.ndarray | None) -> None:
        chosen = rows if part is None else rows.reordered(part)
        _accumulate(products, sums, kernel, chosen, landmarks, basis, slice(None) if part is None else part, task)

    alpha, scores = task.alphas[0], None
    if len(task.alphas) == 1:
        add(None)
    else:
        order, n_held = stratified_order(task.labels, task.random_state), held_out_rows(len(rows), task.held_out)
        seen, unseen = np.sort(order[:-n_held]), np.sort(order[-n_held:])
        add(seen)
        chosen, scores = _choose(products.copy(), sums, kernel, rows.reordered(unseen), landmarks, basis, unseen, task)
        alpha = task.alphas[chosen]
        add(unseen)
    products.add_to_diagonal(alpha)
    products.cholesky(task.n_jobs, task.verbose)
    weights = basis.solve_upper(products.solve(sums, n_jobs=task.n_jobs), n_jobs=task.n_jobs)
    return Fit(weights.astype(np.float32), alpha, scores)


def _factor_of(kernel: Kernel, landmarks: Rows, task: Task) -> Triangle:
    triangle = Triangle(len(landmarks), dtype=np.float64)
    for jitter in JITTERS:
        triangle.fill(lambda some, others, out: kernel.tile(landmarks, some, landmarks, others, out), n_jobs=task.n_jobs)
        diagonal = np.concatenate([row[-1].diagonal() for row in triangle.tiles])
        triangle.add_to_diagonal(jitter * max(float(diagonal.mean()), float(np.finfo(np.float32).tiny)))
        with suppress(InputError):
            triangle.cholesky(task.n_jobs, task.verbose)
            return triangle
    raise InputError(
        f"the kernel of {len(landmarks)} landmarks cannot be factored: their codes agree too closely, or differ too much in "
        "length. Fewer landmarks help, and codes of unit length (Normalizer() before this step)"
    )


def _accumulate(
    products: Triangle,
    sums: np.ndarray,
    kernel: Kernel,
    rows: Rows,
    landmarks: Rows,
    basis: Triangle,
    part: Any,
    task: Task,
) -> None:
    """Add the products of some rows' features with themselves and with the targets, a block of rows after another."""
    targets, roots = task.targets[part], task.roots(part)
    if roots is not None:
        targets = targets * roots[:, None]

    def block(some: range) -> None:
        here, values = slice(some.start, some.stop), np.empty((len(some), len(landmarks)), np.float32)

        def tile(others: range) -> None:
            columns = slice(others.start, others.stop)
            out = np.empty((len(some), len(others)), np.float32)
            kernel.tile(rows, here, landmarks, columns, out)
            values[:, columns] = out if roots is None else out * roots[here, None]

        map_batches(tile, range(len(landmarks)), n_jobs=task.n_jobs, batch_size=TILE, shared_memory=True)
        features = basis.solve_lower(values.T, n_jobs=task.n_jobs)

        def add(left: slice, right: slice, out: np.ndarray) -> None:
            out += features[left] @ features[right].T

        products.fill(add, n_jobs=task.n_jobs)
        for span in products.spans:
            sums[span] += features[span] @ targets[here]

    for _ in each_batch(block, range(len(rows)), n_jobs=1, batch_size=TILE, verbose=task.verbose, label="codes"):
        pass


def _choose(
    triangle: Triangle,
    sums: np.ndarray,
    kernel: Kernel,
    rows: Rows,
    landmarks: Rows,
    basis: Triangle,
    unseen: np.ndarray,
    task: Task,
) -> tuple[int, np.ndarray]:
    triangle.add_to_diagonal(middle(task.alphas))
    triangle.cholesky(task.n_jobs, task.verbose)

    def solve(b: np.ndarray) -> np.ndarray:
        return triangle.solve(b, n_jobs=task.n_jobs)

    weights = np.hstack(solutions(solve, sums, middle(task.alphas), task.alphas))
    found = kernel.products(rows, landmarks, basis.solve_upper(weights, n_jobs=task.n_jobs), task.n_jobs)
    return compared(times(found, task.roots(unseen)), unseen, task)
