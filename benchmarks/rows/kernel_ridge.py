"""Speed of exact kernel ridge regression; benchmarks/kernel_memory.py measures the memory of both sides."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from sklearn.kernel_ridge import KernelRidge

from benchmarks.rows._row import Row
from featrec.classifiers import KernelRidgeClassifier

ALPHA, GAMMA = 0.1, 0.5


def codes_and_labels(n: int, d: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Return standardised float32 codes of ten overlapping classes, generated in blocks to save memory, and labels."""
    random = np.random.default_rng(seed)
    centres = 0.12 * np.random.default_rng(99).normal(size=(10, d))
    labels, codes = np.arange(n) % 10, np.empty((n, d), np.float32)
    for start in range(0, n, 1000):
        block = codes[start : start + 1000]
        block[:] = random.normal(size=block.shape) + centres[labels[start : start + 1000]]
    return codes, labels


def rows(scale: float) -> Iterator[Row]:
    """Yield a row for the RBF kernel, fitted on 8,000 codes of 1,000 numbers and applied to 1,000 others."""
    n, d = max(60, round(8000 * scale)), max(20, round(1000 * scale))
    codes, labels = codes_and_labels(n, d)
    others, _ = codes_and_labels(max(20, n // 8), d, seed=1)
    targets = 2.0 * (labels[:, None] == np.arange(10)) - 1
    mean = targets.mean(axis=0)
    distance = 2 * (np.einsum("ij,ij->i", codes, codes).mean(dtype=float) - np.square(codes.mean(axis=0, dtype=float)).sum())

    def ours() -> np.ndarray:
        return KernelRidgeClassifier(gamma=GAMMA, alphas=ALPHA, n_jobs=2).fit(codes, labels).decision_function(others)

    def theirs() -> np.ndarray:
        ridge = KernelRidge(alpha=ALPHA, kernel="rbf", gamma=GAMMA / distance).fit(codes, targets - mean)
        return ridge.predict(others) + mean

    def agree(first: np.ndarray, second: np.ndarray) -> None:
        np.testing.assert_allclose(first, second, atol=5e-3)
        np.testing.assert_array_equal(first.argmax(axis=1), second.argmax(axis=1))

    yield Row(
        work=f"kernel ridge, {n:,} codes × {d:,}, 10 classes",
        against="sklearn KernelRidge",
        target=1.5,
        ours=ours,
        theirs=theirs,
        agree=agree,
        threads=2,
        threads_theirs=2,
        products=float(n) * n * d + float(n) ** 3 / 3 + 2.0 * n * len(others) * d,
    )
