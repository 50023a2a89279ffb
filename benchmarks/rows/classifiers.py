"""Speed of classifiers."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from sklearn.svm import LinearSVC

from benchmarks.rows._row import Row
from featrec.classifiers import WideLinearSVC


def rows(scale: float) -> Iterator[Row]:
    """Yield a row for a linear SVM on codes as wide as Fisher vectors."""
    n, d = max(30, round(450 * scale)), max(60, round(10_000 * scale))
    random = np.random.default_rng(0)
    labels = np.arange(n) % 15
    codes = random.normal(size=(n, d)) + 0.5 * random.normal(size=(15, d))[labels] * (np.arange(d) < d // 20)
    codes = (codes / np.linalg.norm(codes, axis=1, keepdims=True)).astype(np.float32)

    def agree(ours: np.ndarray, theirs: np.ndarray) -> None:
        np.testing.assert_allclose(ours, theirs, atol=5e-2)

    yield Row(
        work=f"linear SVM, {n:,} codes × {d:,}, 15 classes",
        against="sklearn LinearSVC",
        target=5.0,
        ours=lambda: WideLinearSVC(C=10.0, n_jobs=1).fit(codes, labels).decision_function(codes),
        theirs=lambda: LinearSVC(C=10.0, random_state=0, max_iter=10_000).fit(codes, labels).decision_function(codes),
        agree=agree,
        products=float(n) * n * d,
    )
