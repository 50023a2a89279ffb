"""Iterative solvers: conjugate gradients for one system, and Lanczos steps for several penalties."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import linalg

from featrec.classifiers._codes_classifier import stratified_order
from featrec.classifiers._exact_ridge import Fit, Kernel, Rows, Task, compared, fill, leading_tiles, tile_of, times
from featrec.classifiers._triangle import Triangle
from featrec.exceptions import InputError
from featrec.parallel import each_batch, map_batches, one_inner_thread

__all__ = ["ShiftedFactor", "conjugate_gradients", "fit_iteratively", "memory_beside"]

# Maximum number of Lanczos steps; each step is a pair of triangular solves.
MOST_LANCZOS_STEPS = 40
# Error of solutions, relative to their right-hand sides.
PRECISION = 1e-6
# Number of right-hand sides for which the system is solved at once.
RIGHT_SIDES = 64
MOST_STEPS = 12
# Maximum number of landmarks of the preconditioner. More landmarks take longer to prepare, but fewer rounds are needed.
LANDMARKS = 2000
# At most one row in five is a landmark.
PART = 5
# The iteration ends when the residual is shorter than this fraction of the right-hand side.
TOLERANCE = 1e-3
MOST_ROUNDS = 1000
# Number added to the diagonal of the landmarks' kernel, relative to the mean of the diagonal. Without it, the kernel may not be
# factorable in float64.
JITTER = 1e-6
ROWS = 2048


def memory_beside(n: int) -> int:
    """Return the number of bytes that the preconditioner needs in addition to the kernel matrix."""
    marks = _n_landmarks(n)
    return 4 * n * marks + 3 * 8 * marks**2


def fit_iteratively(kernel: Kernel, rows: Rows, task: Task) -> Fit:
    """Fit by conjugate gradients, which need only products with the kernel matrix. The last rows are held out."""
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
    """The inverse of F Fᵀ + alpha, where F Fᵀ approximates the kernel matrix (Nyström)."""

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
    """Compute F: the kernel values between all rows and the landmarks, times the inverse factor of the landmarks' kernel."""
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
    """Solve (K + alpha I) x = targets. Each column has its own step sizes."""
    found, residuals = np.zeros(targets.shape), targets.astype(np.float64)
    goal = TOLERANCE * np.linalg.norm(residuals, axis=0)
    towards = preconditioner(residuals)
    direction, steepness = towards.copy(), column_products(residuals, towards)
    for done in range(MOST_ROUNDS):
        product = triangle.times(direction.astype(np.float32), n_jobs=task.n_jobs) + alpha * direction
        step = steepness / np.maximum(column_products(direction, product), np.finfo(np.float64).tiny)
        found += step * direction
        residuals -= step * product
        if (np.linalg.norm(residuals, axis=0) <= goal).all():
            if task.verbose:
                sys.stderr.write(f"{done + 1:>7} rounds of conjugate gradients for a penalty of {alpha:g}\n")
            return found.astype(np.float32)
        towards = preconditioner(residuals)
        former, steepness = steepness, column_products(residuals, towards)
        direction = towards + steepness / np.maximum(former, np.finfo(np.float64).tiny) * direction
    raise InputError(
        f"conjugate gradients did not converge in {MOST_ROUNDS} rounds with a penalty of {alpha:g}; "
        'use a larger penalty, or solver="cholesky"'
    )


def _summed(rows: np.ndarray, product: Callable[[np.ndarray, slice], np.ndarray], n_jobs: int | None) -> np.ndarray:
    """Multiply piece by piece, and sum the products in float64. The order is fixed, so the result does not depend on n_jobs."""

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


def conjugate_gradients(
    product: Callable[[np.ndarray], np.ndarray],
    solve: Callable[[np.ndarray], np.ndarray],
    right: np.ndarray,
    start: np.ndarray,
) -> np.ndarray:
    """Improve the solution `start` of a linear system in float64. `solve` is an approximate inverse.

    A few steps are sufficient, because products are only as precise as the dtype of the codes.
    """
    x = start.astype(np.float64)
    residual = right - product(x)
    size = np.sqrt(column_products(right, right))
    direction, before = np.zeros_like(x), np.ones(x.shape[1])
    for _ in range(MOST_STEPS):
        if np.all(np.sqrt(column_products(residual, residual)) <= PRECISION * size):
            break
        towards = solve(residual).astype(np.float64)
        now = column_products(residual, towards)
        direction *= now * one_over(before)
        direction += towards
        moved = product(direction)
        step = now * one_over(column_products(direction, moved))
        x += step * direction
        residual -= step * moved
        before = now
    return x


def column_products(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Return the products of corresponding columns in float64."""
    return np.einsum("ij,ij->j", left, right).astype(np.float64)


def one_over(values: np.ndarray) -> np.ndarray:
    """Return reciprocals of positive values, and 0 for other values."""
    return np.divide(1.0, values, out=np.zeros_like(values), where=values > 0)


@dataclass
class _Step:
    """One Lanczos vector for each right-hand side, and its coefficients as arrays of shape (n_penalties, n_columns)."""

    vector: np.ndarray
    carried: np.ndarray
    gain: np.ndarray
    pivot: np.ndarray
    missing: np.ndarray


class ShiftedFactor:
    """Solve systems with G + penalty·I for several penalties, using the factor L of G + factored·I.

    For a right-hand side r and v = L⁻¹ r, (G + penalty·I)⁻¹ r = L⁻ᵀ (I + (penalty − factored) L⁻¹ L⁻ᵀ)⁻¹ v. Lanczos steps that
    start from v reduce L⁻¹ L⁻ᵀ to a tridiagonal matrix, which is used for all penalties. A step is a pair of triangular solves.
    More steps are needed for penalties that are farther from `factored`.

    Parameters
    ----------
    factor : Triangle
        The Cholesky factor L.
    factored : float
        The penalty whose matrix was factored.
    penalties : sequence of floats
    n_jobs : int or None, default=None
    """

    def __init__(self, factor: Triangle, factored: float, penalties: Sequence[float], n_jobs: int | None = None):
        self.factor, self.factored, self.n_jobs = factor, factored, n_jobs
        self.penalties = list(penalties)
        self.shifts = (np.asarray(self.penalties)[:, None] - factored) / factored

    def forms(self, right: np.ndarray, enough: Callable[[np.ndarray, np.ndarray], bool]) -> np.ndarray:
        """Compute lower bounds of rᵀ (G + penalty·I)⁻¹ r for each penalty and each column r of `right`.

        The steps end when `enough(forms, bounds)` is true; `forms` are the current lower bounds, and `bounds` are upper bounds
        of their errors.
        """
        first = self.factor.solve_lower(right, n_jobs=self.n_jobs)
        squares, forms = column_products(first, first), np.zeros((len(self.penalties), right.shape[1]))
        for step in self._steps(first, squares):
            forms += squares * step.gain**2 / step.pivot
            if enough(forms, squares * step.missing**2 / np.minimum(1, 1 + self.shifts)):
                break
        return forms

    def solutions(self, right: np.ndarray) -> np.ndarray:
        """Solve (G + penalty·I) x = r for each penalty and column r. Return an array (n_penalties, n, n_columns)."""
        found = np.empty((len(self.penalties), *right.shape), self.factor.dtype)
        for start in range(0, right.shape[1], RIGHT_SIDES):
            some = slice(start, start + RIGHT_SIDES)
            for place, solution in enumerate(self._solutions(right[:, some])):
                found[place, :, some] = self.factor.solve_upper(solution, n_jobs=self.n_jobs)
        return found

    def _solutions(self, right: np.ndarray) -> np.ndarray:
        """Return the solutions, multiplied by the transposed factor."""
        first = self.factor.solve_lower(right, n_jobs=self.n_jobs)
        squares = column_products(first, first)
        found = np.zeros((len(self.penalties), *first.shape), first.dtype)
        directions = np.zeros_like(found)
        for step in self._steps(first, squares):
            for place, (x, direction) in enumerate(zip(found, directions, strict=True)):
                direction *= -step.carried[place].astype(x.dtype)
                direction += step.vector
                x += direction * (np.sqrt(squares) * step.gain / step.pivot)[place].astype(x.dtype)
            if np.all(np.abs(step.missing) <= PRECISION):
                break
        return found

    def _steps(self, first: np.ndarray, squares: np.ndarray) -> Iterator[_Step]:
        """Yield Lanczos steps, and solve the tridiagonal systems by elimination. The vectors `first` are overwritten."""
        current, previous = first, np.zeros_like(first)
        current *= one_over(np.sqrt(squares)).astype(current.dtype)
        beta, pivot = np.zeros(len(squares)), np.ones((len(self.penalties), len(squares)))
        gain = pivot
        for number in range(MOST_LANCZOS_STEPS):
            following = self.factor.solve_upper(current, n_jobs=self.n_jobs)
            following = self.factor.solve_lower(following, n_jobs=self.n_jobs)
            following *= following.dtype.type(self.factored)
            previous *= beta.astype(previous.dtype)
            following -= previous
            alpha = column_products(following, current)
            carried = self.shifts * beta / pivot
            gain = -carried * gain if number else gain
            pivot = 1 + self.shifts * alpha - carried * self.shifts * beta
            np.multiply(current, alpha.astype(current.dtype), out=previous)
            following -= previous
            beta = np.sqrt(column_products(following, following))
            yield _Step(current, carried, gain, pivot, self.shifts * beta * gain / pivot)
            following *= one_over(beta).astype(following.dtype)
            previous, current = current, following
