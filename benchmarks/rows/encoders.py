"""Speed of encoders that compare descriptors with words, against the bare products of descriptors and words."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from numba import njit

from benchmarks.rows._row import Row
from featrec.compiled import _near_words


@njit(nogil=True, error_model="numpy")
def bare_products(points, words, tile_points, tile_words, products):
    """Compute the products of points and words tile by tile, in one array, with the BLAS that compiled loops use."""
    for start in range(0, len(points), tile_points):
        stop = min(start + tile_points, len(points))
        for first in range(0, len(words), tile_words):
            last = min(first + tile_words, len(words))
            block = products[: (last - first) * (stop - start)].reshape(last - first, stop - start)
            np.dot(words[first:last], points[start:stop].T, block)


def rows(scale: float) -> Iterator[Row]:
    """Yield a row for VLAD, with a target of 80 % of the rate of the bare products; other codes are in other topics."""
    random = np.random.default_rng(0)
    n_points, k, length = max(8, round(10_000 * scale)), max(4, round(256 * scale)), 128
    points = random.normal(size=(n_points, length)).astype(np.float32)
    words = random.normal(size=(k, length)).astype(np.float32)
    yield Row(
        work=f"VLAD, {n_points:,} × {length} float32, {k:,} words, one cell",
        against="bare products",
        target=0.8,
        ours=vlad_of(points, words),
        theirs=products_of(points, words, (_near_words.POINTS, _near_words.WORDS)),
        agree=same_work(points, words),
        products=2.0 * n_points * k * length,
    )


def vlad_of(points: np.ndarray, words: np.ndarray) -> Callable[[], np.ndarray]:
    """Return a function that computes the residual sums of all points."""
    cells, counts = np.zeros(len(points), np.int64), np.zeros((1, len(words)), np.float32)
    residuals = np.zeros((1, *words.shape), np.float32)

    def run() -> np.ndarray:
        _near_words.vlad(points, words, cells, residuals, counts)
        return residuals[0]

    return run


def products_of(points: np.ndarray, words: np.ndarray, tile: tuple[int, int]) -> Callable[[], None]:
    """Return a function that computes only the products, in tiles of the encoder's size."""
    products = np.zeros(tile[0] * tile[1], np.float32)
    return lambda: bare_products(points, words, *tile, products)


def same_work(points: np.ndarray, words: np.ndarray) -> Callable[[np.ndarray, None], None]:
    """Return a check of the code against NumPy, because bare products give no code."""

    def agree(ours: np.ndarray, theirs: None) -> None:
        squares = (points**2).sum(axis=1)[:, None] + (words**2).sum(axis=1) - 2 * points.astype(np.float64) @ words.T
        expected = np.zeros(words.shape)
        nearest = squares.argmin(axis=1)
        np.add.at(expected, nearest, points - words[nearest])
        np.testing.assert_allclose(ours, expected, rtol=1e-3, atol=1e-3 * np.abs(expected).max())

    return agree
