"""Speed of kernel matrices between histograms."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from sklearn.metrics.pairwise import chi2_kernel as their_chi2_kernel

from benchmarks.rows._row import Row
from featrec.pairwise import chi2_kernel, intersection_kernel

SEED = 0
DESCRIPTORS = 2_000


def rows(scale: float) -> Iterator[Row]:
    """Yield rows for codes of a spatial pyramid, and for dense histograms, which contain no zeros to skip."""
    n, words = max(10, int(600 * scale)), max(10, int(200 * scale))
    codes, dense = pyramids(n, words), histograms(n, 21 * words)
    for X, kind, target in ((codes, "pyramid codes", 30.0), (dense, "dense histograms", 20.0)):
        yield chi2(X, kind, target)
        yield intersection(X, kind)


def chi2(X: np.ndarray, kind: str, target: float) -> Row:
    """Compare with scikit-learn, whose loop is also compiled."""
    return Row(
        f"chi-square Gram of {len(X):,} {kind} of {X.shape[1]:,}",
        "scikit-learn chi2_kernel",
        target,
        lambda: chi2_kernel(X),
        lambda: their_chi2_kernel(X),
        close,
        products=operations(X),
    )


def intersection(X: np.ndarray, kind: str) -> Row:
    """Compare with NumPy, row by row."""

    def row_by_row() -> np.ndarray:
        return np.stack([np.minimum(x, X).sum(axis=1) for x in X])

    work = f"intersection Gram of {len(X):,} {kind} of {X.shape[1]:,}"
    return Row(work, "NumPy, row by row", 8.0, lambda: intersection_kernel(X), row_by_row, close, products=operations(X))


def operations(X: np.ndarray) -> float:
    """Return the number of operations: two for each feature of each pair."""
    return 2.0 * len(X) * (len(X) + 1) / 2 * X.shape[1]


def close(ours: np.ndarray, theirs: np.ndarray) -> None:
    """Check that results are equal up to the order of summation."""
    np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-6)


def histograms(n: int, d: int) -> np.ndarray:
    """Return rows with sum 1 and without zeros."""
    counts = np.random.default_rng(SEED).gamma(2.0, 1.0, (n, d)) + 1e-3
    return (counts / counts.sum(axis=1, keepdims=True)).astype(np.float32)


def pyramids(n: int, words: int) -> np.ndarray:
    """Return codes as of a spatial pyramid of 1, 4 and 16 cells, with words of different frequencies."""
    rng = np.random.default_rng(SEED)
    codes = []
    for _ in range(n):
        shares = rng.gamma(0.5, 1.0, words)
        finest = np.stack([rng.multinomial(DESCRIPTORS // 16, shares / shares.sum()) for _ in range(16)])
        levels = [finest.reshape(cells, 16 // cells, words).sum(axis=1).ravel() for cells in (1, 4, 16)]
        codes.append(np.concatenate(levels) / (3 * DESCRIPTORS))
    return np.stack(codes).astype(np.float32)
