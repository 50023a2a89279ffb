"""ShiftedFactor: what the Cholesky factor for one penalty says of other penalties."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from featrec.classifiers._conjugate_gradients import column_products, one_over
from featrec.classifiers._triangle import Triangle

__all__ = ["ShiftedFactor"]

# Steps at most; each is a pair of triangular solves.
MOST_STEPS = 40
# How exact solutions are, relative to their right sides.
PRECISION = 1e-6
# Right sides that are solved for together.
RIGHT_SIDES = 64


@dataclass
class _Step:
    """One more Lanczos vector q for each right side, and what it changes; arrays are (n_penalties, n_columns)."""

    vector: np.ndarray
    carried: np.ndarray
    gain: np.ndarray
    pivot: np.ndarray
    missing: np.ndarray


class ShiftedFactor:
    """The factor L of G + factored·I, used for G + penalty·I with other penalties.

    For a right side r and v = L⁻¹ r it holds that (G + penalty·I)⁻¹ r = L⁻ᵀ (I + (penalty − factored) L⁻¹ L⁻ᵀ)⁻¹ v. Lanczos
    steps from v, for all right sides at once, make a tridiagonal matrix of L⁻¹ L⁻ᵀ that serves all penalties together.
    A step is a pair of triangular solves; the farther the penalties are from the one that was factored, the more it takes.

    Parameters
    ----------
    factor : Triangle
    factored : float
    penalties : sequence of floats
    n_jobs : int or None, default=None
    """

    def __init__(self, factor: Triangle, factored: float, penalties: Sequence[float], n_jobs: int | None = None):
        self.factor, self.factored, self.n_jobs = factor, factored, n_jobs
        self.penalties = list(penalties)
        self.shifts = (np.asarray(self.penalties)[:, None] - factored) / factored

    def forms(self, right: np.ndarray, enough: Callable[[np.ndarray, np.ndarray], bool]) -> np.ndarray:
        """rᵀ (G + penalty·I)⁻¹ r for each penalty and column r, from below.

        The steps end when `enough(forms, bounds)` is true, where bounds are how much may still be missing.

        Parameters
        ----------
        right : array of shape (n, n_columns)
        enough : callable

        Returns
        -------
        forms : array of shape (n_penalties, n_columns)
        """
        first = self.factor.solve_lower(right, n_jobs=self.n_jobs)
        squares, forms = column_products(first, first), np.zeros((len(self.penalties), right.shape[1]))
        for step in self._steps(first, squares):
            forms += squares * step.gain**2 / step.pivot
            if enough(forms, squares * step.missing**2 / np.minimum(1, 1 + self.shifts)):
                break
        return forms

    def solutions(self, right: np.ndarray) -> np.ndarray:
        """x of (G + penalty·I) x = r for each penalty and column r.

        Parameters
        ----------
        right : array of shape (n, n_columns)

        Returns
        -------
        solutions : array of shape (n_penalties, n, n_columns)
        """
        found = np.empty((len(self.penalties), *right.shape), self.factor.dtype)
        for start in range(0, right.shape[1], RIGHT_SIDES):
            some = slice(start, start + RIGHT_SIDES)
            for place, solution in enumerate(self._solutions(right[:, some])):
                found[place, :, some] = self.factor.solve_upper(solution, n_jobs=self.n_jobs)
        return found

    def _solutions(self, right: np.ndarray) -> np.ndarray:
        """Those, times the transposed factor."""
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
        """The steps from these vectors, which are overwritten, with the elimination of the tridiagonal matrix."""
        current, previous = first, np.zeros_like(first)
        current *= one_over(np.sqrt(squares)).astype(current.dtype)
        beta, pivot = np.zeros(len(squares)), np.ones((len(self.penalties), len(squares)))
        gain = pivot
        for number in range(MOST_STEPS):
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
