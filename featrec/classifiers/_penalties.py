"""One Cholesky factor for several penalties, and the rows on which the best of them is chosen."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.polynomial import chebyshev
from sklearn.utils import check_random_state

from featrec.exceptions import InputError

__all__ = ["ROUGH", "best", "checked", "middle", "solutions", "stratified_order"]

# The polynomials' error, relative to the smallest factor by which a penalty shrinks what it is applied to.
PRECISION = 1e-5
# Enough to compare penalties by.
ROUGH = 1e-3
# How far a penalty may lie from the one that was factored; each doubling takes a few more solves.
FARTHEST = 16.0


def checked(alphas: Any) -> tuple[float, ...]:
    """One penalty or several as a tuple; all above zero and near enough to one another."""
    try:
        values = tuple(float(value) for value in np.atleast_1d(alphas))
    except (TypeError, ValueError):
        values = ()
    if not values or not all(0 < value < math.inf for value in values):
        raise InputError(f"alphas={alphas!r} must be one number above 0, or several")
    if max(values) > FARTHEST**2 * min(values) * (1 + 1e-9):
        raise InputError(
            f"alphas from {min(values):g} to {max(values):g} are too far apart for one factor; the largest may be "
            f"{FARTHEST**2:g} times the smallest. Fit twice, with the lower and with the upper ones"
        )
    return values


def middle(alphas: Sequence[float]) -> float:
    """The penalty to factor: the geometric middle."""
    return alphas[0] if len(alphas) == 1 else math.sqrt(min(alphas) * max(alphas))


def solutions(
    solve: Callable[[np.ndarray], np.ndarray],
    b: np.ndarray,
    factored: float,
    alphas: Sequence[float],
    precision: float = PRECISION,
) -> list[np.ndarray]:
    """x of (K + alpha) x = b for each alpha, where `solve` does it for the penalty that was factored.

    With A the inverse for the factored penalty f, the solution is (1 + (alpha - f) A)⁻¹ A b. The eigenvalues of f A lie
    between 0 and 1, so a Chebyshev series in A stands for the first factor, and all penalties share its solves.
    """
    ratios = [alpha / factored for alpha in alphas]
    degree = max(_degree(ratio, precision) for ratio in ratios)
    series = [_series(ratio, degree) for ratio in ratios]
    current, previous = solve(b), None
    found = [current * current.dtype.type(terms[0]) for terms in series]
    for term in range(1, degree + 1):
        following = solve(current)
        following *= following.dtype.type(2 * factored)
        following -= current
        if previous is not None:
            following *= following.dtype.type(2)
            following -= previous
        current, previous = following, current
        for x, terms in zip(found, series, strict=True):
            x += current * current.dtype.type(terms[term])
    return found


def _series(ratio: float, degree: int) -> np.ndarray:
    """By how much an eigenvalue of the factored inverse, 0 to 1 told as -1 to 1, changes for another penalty."""

    def factor(place: Any) -> Any:
        return 1 / (1 + (ratio - 1) * (place + 1) / 2)

    return np.asarray(chebyshev.chebinterpolate(factor, degree))


def _degree(ratio: float, precision: float) -> int:
    """Terms enough: the function's pole lies at ±(ratio + 1) / (ratio - 1), which sets how fast the series falls."""
    root = math.sqrt(max(ratio, 1 / ratio))
    if root - 1 < 1e-12:
        return 0
    return math.ceil(math.log(root**2 / precision) / math.log((root + 1) / (root - 1)))


def stratified_order(labels: np.ndarray, random_state: Any) -> np.ndarray:
    """A random order of which every beginning and every end has about the classes' shares."""
    shuffled = check_random_state(random_state).permutation(len(labels))
    place = np.empty(len(labels))
    for label in np.unique(labels):
        of_class = shuffled[labels[shuffled] == label]
        place[of_class] = (np.arange(len(of_class)) + 0.5) / len(of_class)
    return shuffled[np.argsort(place[shuffled], kind="stable")]


def best(
    scores: Sequence[np.ndarray], wanted: np.ndarray, labels: np.ndarray, weights: np.ndarray | None = None
) -> tuple[int, np.ndarray]:
    """The penalty with the most right answers on held-out rows, of several the one nearest to the targets; all shares.

    With weights, right answers and errors count by them.
    """
    answers = [found[:, 0] > 0 if found.shape[1] == 1 else found.argmax(axis=1) for found in scores]
    right = np.array([np.average(answer == labels, weights=weights) for answer in answers])
    errors = np.array([np.average(((found - wanted) ** 2).mean(axis=1), weights=weights) for found in scores])
    return int(np.lexsort((errors, -right))[0]), right
