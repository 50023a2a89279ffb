"""Kernel machines: decisions that are weighted sums of kernels between a code and stored codes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from featrec.explanation._target import Pull

__all__ = ["Function", "Machine", "chi2", "intersection", "linear", "machine_pull", "rbf"]

# Number of stored values that are processed at once.
BLOCK = 2**20
# Numbers of points on the path from an empty code; the next is used until the sum is within PRECISION of the decision.
POINTS = (8, 16, 32, 64)
PRECISION = 1e-3


class Function(NamedTuple):
    """A kernel.

    `weights(rows, signed, code)` returns weights for the columns if the kernel is a sum over columns. Otherwise,
    `slopes(rows, signed, codes)` returns the value of the machine at each of several codes, and its slope there.
    """

    weights: Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray] | None
    slopes: Callable[[np.ndarray, np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]] | None
    step: float = 1.0


@dataclass(frozen=True, eq=False)
class Machine:
    """The function ``(signed * kernel(rows[chosen], code)).sum() + offset`` of a code; `chosen` is None for all rows."""

    rows: np.ndarray
    chosen: np.ndarray | None
    signed: np.ndarray
    offset: float
    function: Function

    def blocks(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield some stored rows, as numbers in the scale of codes, and their weights."""
        size = max(1, BLOCK // max(1, self.rows.shape[1]))
        for start in range(0, len(self.signed), size):
            some = slice(start, start + size)
            rows = self.rows[some if self.chosen is None else self.chosen[some]].astype(np.float32, copy=False)
            yield (rows if self.function.step == 1.0 else rows * np.float32(self.function.step)), self.signed[some]


def machine_pull(machine: Machine, code: np.ndarray, empty: np.ndarray) -> tuple[Pull, str]:
    """Express the decision of a kernel machine as a sum over columns; return the pull and "sum" or "path"."""
    add_up = machine.function.weights
    if add_up is not None:
        weights = np.zeros(len(code))
        for rows, signed in machine.blocks():
            weights += add_up(rows, signed, code)
        return Pull(weights, machine.offset), "sum"
    return _along_path(machine, np.asarray(code, np.float64), np.asarray(empty, np.float64)), "path"


def _along_path(machine: Machine, code: np.ndarray, empty: np.ndarray) -> Pull:
    """Integrate slopes on the straight line from the code of an image without features to the code (integrated gradients)."""
    ends = _values_and_slopes(machine, np.stack([empty, code]))[0]
    step = code - empty
    slopes = np.zeros(len(code))
    for n in POINTS:
        places, shares = np.polynomial.legendre.leggauss(n)
        on_path = empty + (places[:, None] + 1) / 2 * step
        slopes = shares @ _values_and_slopes(machine, on_path)[1] / 2
        if abs(slopes @ step - (ends[1] - ends[0])) <= PRECISION * np.abs(slopes * step).sum():
            break
    return Pull(slopes, float(ends[0] + machine.offset - slopes @ empty))


def _values_and_slopes(machine: Machine, codes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    assert machine.function.slopes is not None
    values, slopes = np.zeros(len(codes)), np.zeros(codes.shape)
    for rows, signed in machine.blocks():
        value, slope = machine.function.slopes(rows, signed, codes)
        values += value
        slopes += slope
    return values, slopes


def linear(step: float = 1.0) -> Function:
    """The dot product."""
    return Function(lambda rows, signed, code: signed @ rows, None, step)


def intersection() -> Function:
    """Histogram intersection: the sum of the smaller values."""

    def weights(rows: np.ndarray, signed: np.ndarray, code: np.ndarray) -> np.ndarray:
        code = np.asarray(code, np.float32)
        shared = signed.astype(np.float32) @ np.minimum(rows, code, out=rows)
        return np.divide(shared, code, out=np.zeros(len(code)), where=code > 0, casting="unsafe")

    return Function(weights, None)


def rbf(gamma: float, step: float = 1.0) -> Function:
    """The kernel exp(-gamma · squared distance)."""

    def slopes(rows: np.ndarray, signed: np.ndarray, codes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        lengths = np.einsum("ij,ij->i", rows, rows, dtype=np.float64)
        squared = lengths - 2 * (codes.astype(np.float32) @ rows.T).astype(np.float64)
        squared += np.einsum("ij,ij->i", codes, codes)[:, None]
        weighted = np.exp(-gamma * np.maximum(squared, 0)) * signed
        total = weighted.sum(axis=1)
        return total, 2 * gamma * (weighted.astype(np.float32) @ rows - total[:, None] * codes)

    return Function(None, slopes, step)


def chi2(gamma: float) -> Function:
    """The kernel exp(-gamma · Σ (x - y)² / (x + y))."""

    def slopes(rows: np.ndarray, signed: np.ndarray, codes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        values, found = np.zeros(len(codes)), np.zeros(codes.shape)
        for i, code in enumerate(codes.astype(np.float32)):
            both = rows + code
            ratio = np.divide(rows, both, out=np.full(both.shape, 0.5, np.float32), where=both > 0)
            distance = (both * (1 - 2 * ratio) ** 2).sum(axis=1, dtype=np.float64)
            weighted = np.exp(-gamma * distance) * signed
            values[i] = weighted.sum()
            # The slope of (x - y)² / (x + y) in y is 1 - 4 (x / (x + y))².
            found[i] = -gamma * (weighted.sum() - 4 * (weighted.astype(np.float32) @ ratio**2))
        return values, found

    return Function(None, slopes)
