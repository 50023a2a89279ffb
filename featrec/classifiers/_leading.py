"""The leading eigenvectors of a large symmetric matrix, by subspace iteration."""

from __future__ import annotations

import numpy as np
from scipy import linalg

from featrec.parallel import map_batches, one_inner_thread

__all__ = ["leading_directions"]

# Up to so many rows all eigenvectors are computed.
SMALL = 2000
ROUNDS = 3
ROWS = 1024
# A direction with a smaller part of the largest eigenvalue holds nothing but the rounding errors of float32.
LEAST_PART = 1e-6


def leading_directions(
    matrix: np.ndarray, n_directions: int, random: np.random.RandomState, n_jobs: int | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Eigenvalues, largest first, and their eigenvectors as columns; fewer where the matrix has no more that are not zero."""
    n = len(matrix)
    with one_inner_thread():
        if n <= SMALL or 2 * n_directions > n:
            values, vectors = linalg.eigh(matrix.astype(np.float64))
        else:
            values, vectors = _iterated(matrix, n_directions + n_directions // 10 + 10, random, n_jobs)
    values, vectors = values[::-1][:n_directions], vectors[:, ::-1][:, :n_directions]
    kept = max(1, int((values > LEAST_PART * values[0]).sum()))
    return np.maximum(values[:kept], np.finfo(np.float32).tiny), vectors[:, :kept]


def _iterated(
    matrix: np.ndarray, n_columns: int, random: np.random.RandomState, n_jobs: int | None
) -> tuple[np.ndarray, np.ndarray]:
    basis = random.normal(size=(len(matrix), n_columns)).astype(np.float32)
    for _ in range(ROUNDS):
        basis = linalg.qr(_product(matrix, basis, n_jobs), mode="economic", overwrite_a=True, check_finite=False)[0]
    values, turn = linalg.eigh((basis.T @ _product(matrix, basis, n_jobs)).astype(np.float64))
    return values, basis @ turn.astype(np.float32)


def _product(matrix: np.ndarray, basis: np.ndarray, n_jobs: int | None) -> np.ndarray:
    found = np.empty((len(matrix), basis.shape[1]), np.float32)

    def part(rows: range) -> None:
        found[rows.start : rows.stop] = matrix[rows.start : rows.stop] @ basis

    map_batches(part, range(len(matrix)), n_jobs=n_jobs, batch_size=ROWS, shared_memory=True)
    return found
