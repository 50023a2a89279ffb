"""All pairs of rows of two sets of histograms, checked and spread over threads."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from sklearn.utils import check_array

from featrec.exceptions import InputError
from featrec.parallel import map_batches

ROWS = 256


def check_histograms(X: Any, stage: str) -> np.ndarray:
    """Rows of numbers that count something: finite, none negative, as float32."""
    X = check_array(X, dtype=np.float32, order="C", input_name="X", estimator=stage)
    refuse_negative(X, stage)
    return X


def refuse_negative(X: np.ndarray, stage: str) -> None:
    """Minima and chi-square have no meaning below zero."""
    least = X.min(initial=0.0)
    if least < 0.0:
        row, column = np.unravel_index(np.argmin(X), X.shape)
        raise InputError(
            f"Negative values in data passed to {stage}: X[{row}, {column}] is {least:g}; histograms have none. "
            "Codes with negative entries (VLAD, Fisher vectors) belong with a linear kernel."
        )


def check_pair(X: Any, Y: Any, stage: str) -> tuple[np.ndarray, np.ndarray]:
    """Two sets of histograms of one width; one and the same where `Y` is None or `X`."""
    histograms = check_histograms(X, stage)
    if Y is None or Y is X:
        return histograms, histograms
    others = check_histograms(Y, stage)
    if others.shape[1] != histograms.shape[1]:
        raise InputError(
            f"{stage} compares rows of one length; X has {histograms.shape[1]} features and Y {others.shape[1]}. "
            "Make both with the same fitted encoder."
        )
    return histograms, others


def gram(loop: Callable[..., None], X: np.ndarray, Y: np.ndarray, n_jobs: int | None = None) -> np.ndarray:
    """What `loop` gives for all pairs of rows, float32; each pair once where both sets are the same array."""
    sums = np.empty((len(X), len(Y)), np.float32)
    same = X is Y

    def part(rows: range) -> None:
        loop(X[rows.start : rows.stop], Y, rows.start if same else 0, sums[rows.start : rows.stop])

    map_batches(part, range(len(X)), n_jobs=n_jobs, batch_size=ROWS, shared_memory=True)
    if same:
        _mirror(sums)
    return sums


def _mirror(sums: np.ndarray) -> None:
    """Fill what is below the diagonal with what is above, block by block."""
    for start in range(0, len(sums), ROWS):
        stop = start + ROWS
        block = sums[start:stop, start:stop]
        block[:] = np.triu(block) + np.triu(block, 1).T
        sums[stop:, start:stop] = sums[start:stop, stop:].T
