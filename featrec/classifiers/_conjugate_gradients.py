"""Conjugate gradients for several right sides at once, with a good guess at the inverse."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

__all__ = ["column_products", "conjugate_gradients", "one_over"]

MOST_STEPS = 12
PRECISION = 1e-6


def conjugate_gradients(
    product: Callable[[np.ndarray], np.ndarray],
    solve: Callable[[np.ndarray], np.ndarray],
    right: np.ndarray,
    start: np.ndarray,
) -> np.ndarray:
    """x of the system whose `product` is given, in float64, from `start`, where `solve` is near to the system's inverse.

    A few steps at most: the products are as exact as the codes' dtype, and more steps gain nothing.
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
    """The product of each column of one with that of the other, in float64 once it is summed."""
    return np.einsum("ij,ij->j", left, right).astype(np.float64)


def one_over(values: np.ndarray) -> np.ndarray:
    """One over each, and 0 where there is nothing to divide by."""
    return np.divide(1.0, values, out=np.zeros_like(values), where=values > 0)
