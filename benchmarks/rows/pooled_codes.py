"""Speed of codes that use all words, for a small image, against the bare products of its patches."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from sklearn.frozen import FrozenEstimator

from benchmarks.rows._row import Row
from benchmarks.rows.encoders import products_of
from featrec.bag import Bag
from featrec.compiled import _dense_codes
from featrec.encoders import Encoder, SignCode, ThresholdCode, TriangleCode
from featrec.vocabularies import RandomVocabulary

# Number of 6×6 patches in an image of 32×32 pixels.
SIDE = 27
LENGTH = 108
WORDS = 1600


def rows(scale: float) -> Iterator[Row]:
    """Yield a row for each code. The target is 80 % of the rate of the products, or 40 % for SignCode, which does more
    work."""
    random = np.random.default_rng(0)
    for encoder, target in (
        (TriangleCode(norm=None), 0.8),
        (ThresholdCode(norm=None), 0.8),
        (SignCode(norm=None), 0.4),
    ):
        for copies, grid in ((1, 3), (1, 4), (2, 3)):
            n_points, k = max(8, round(copies * SIDE**2 * scale)), max(4, round(WORDS * scale))
            points = random.normal(size=(n_points, LENGTH)).astype(np.float32)
            vocabulary = RandomVocabulary(k, random_state=0).fit(random.normal(size=(k, LENGTH)))
            encoder = encoder.set_params(vocabulary=FrozenEstimator(vocabulary)).fit([Bag(points)])
            name = type(encoder).__name__
            yield Row(
                work=f"{name}, {n_points:,} × {LENGTH} float32, {k:,} words, {grid}×{grid} cells",
                against="bare products",
                target=target,
                ours=pooled_by(encoder, points, grid),
                theirs=products_of(points, vocabulary.words_, (_dense_codes.POINTS, _dense_codes.WORDS)),
                agree=same_codes(name, points, vocabulary.words_, grid),
                products=2.0 * n_points * k * LENGTH,
            )


def cells_of(n_points: int, grid: int) -> np.ndarray:
    """Return the cells of the patches, row by row, followed by the cells for the mirrored image."""
    place = np.arange(n_points) % SIDE**2
    return place // SIDE * grid // SIDE * grid + place % SIDE * grid // SIDE


def pooled_by(encoder: Encoder, points: np.ndarray, grid: int) -> Callable[[], np.ndarray]:
    """Return a function that computes the code of one image before normalisation."""
    cells = cells_of(len(points), grid)
    return lambda: encoder._pool(points, cells, grid**2)


def same_codes(name: str, points: np.ndarray, words: np.ndarray, grid: int) -> Callable[[np.ndarray, None], None]:
    """Return a check of the code against NumPy, because bare products give no code."""

    def agree(ours: np.ndarray, theirs: None) -> None:
        products = points.astype(np.float64) @ words.astype(np.float64).T
        if name == "TriangleCode":
            squares = (points**2).sum(axis=1)[:, None] + (words**2).sum(axis=1) - 2 * products
            distances = np.sqrt(np.maximum(squares, 0))
            each = np.maximum(0, distances.mean(axis=1, keepdims=True) - distances)
        elif name == "ThresholdCode":
            each = np.maximum(0, np.hstack([products, -products]) - 1)
        else:
            wanted = max(1, round(0.4 * len(words)))
            halves = (words**2).sum(axis=1) / 2
            both = (halves - products, halves + products)
            each = np.hstack([side <= np.partition(side, wanted - 1)[:, wanted - 1 : wanted] for side in both])
        expected = np.zeros((grid**2, each.shape[1]))
        np.add.at(expected, cells_of(len(points), grid), each)
        # In float32, words at almost equal distances may be in a different order.
        np.testing.assert_allclose(ours, expected, rtol=1e-3, atol=1 if name == "SignCode" else 1e-3)
        assert abs(ours - expected).sum() <= 1e-4 * expected.sum()

    return agree
