"""Compare two samples of codes or of numbers: projections, random features, population stability and a permutation test."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable

import numpy as np
from scipy.sparse import csr_matrix

__all__ = [
    "N_BINS",
    "N_DIRECTIONS",
    "bin_edges",
    "bin_features",
    "correlation_length",
    "kernel_distance",
    "kernel_features",
    "permutation_p",
    "projected",
    "ranks",
    "stability",
    "stability_terms",
]

# Number of directions onto which codes are projected.
N_DIRECTIONS = 32
# Number of random frequencies; each gives a cosine and a sine.
N_FREQUENCIES = 64
# Number of bins of confidences and of brightness.
N_BINS, LEAST_IN_BIN = 10, 5
# Number of images added to each bin, so that empty bins have a finite logarithm.
SMOOTHING = 0.5
# At the distance where the correlation of frames falls below this number, times the margin, frames count as independent.
LEAST_CORRELATION, MARGIN = 0.1, 1.5
# A test is significant although so many permutations give as large a value. More would give more exact p values, slower.
TOLERATED = 1
# Permutations that are computed at once: first few, because most tests can stop after them.
FIRST_PERMUTATIONS, MOST_PERMUTATIONS = 64, 1024

Statistic = Callable[[np.ndarray, np.ndarray], np.ndarray]


def projected(codes: np.ndarray) -> np.ndarray:
    """Project codes onto at most 32 fixed directions: each value is added to one of 32 sums, with a fixed sign.

    The directions depend only on the width of the codes, so they need not be stored.
    """
    codes = np.asarray(codes, np.float32)
    if codes.shape[1] <= N_DIRECTIONS:
        return codes
    return np.asarray(codes @ _directions(codes.shape[1]), np.float32)


@functools.lru_cache(maxsize=4)
def _directions(width: int) -> csr_matrix:
    """Return a matrix of shape (width, 32) with 1 or -1 in one place of each row, drawn by a hash of the row's number.

    NumPy's random generators may change between versions, but a stored projection must keep its meaning.
    """
    rows = np.arange(width, dtype=np.uint64)
    mixed = (rows + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)  # SplitMix64; products wrap around
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    mixed ^= mixed >> np.uint64(31)
    columns = (mixed % np.uint64(N_DIRECTIONS)).astype(np.int64)
    signs = np.where(mixed >> np.uint64(63), np.float32(1), np.float32(-1))
    return csr_matrix((signs, (rows.astype(np.int64), columns)), shape=(width, N_DIRECTIONS))


def kernel_features(pooled: np.ndarray) -> np.ndarray:
    """Return random Fourier features of a Gaussian kernel (Rahimi and Recht, 2007), of shape (n, 128).

    Columns are first scaled to unit variance. The squared width of the kernel is the number of columns, which is half the mean
    squared distance. Scale and width depend on all rows alike, so that a permutation of the rows changes nothing.
    """
    rows = np.asarray(pooled, np.float64)
    spread = rows.std(axis=0)
    scaled = (rows - rows.mean(axis=0)) / np.where(spread > 0, spread, 1.0)
    phases = scaled @ _frequencies(rows.shape[1])
    waves = np.concatenate([np.cos(phases), np.sin(phases)], axis=1) / math.sqrt(N_FREQUENCIES)
    return waves.astype(np.float32)


@functools.lru_cache(maxsize=64)
def _frequencies(n_columns: int) -> np.ndarray:
    random = np.random.default_rng(0)
    return random.standard_normal((n_columns, N_FREQUENCIES)) / math.sqrt(n_columns)


def kernel_distance(recent: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """Return the squared maximum mean discrepancy of samples whose features have these means, of shape (..., 128)."""
    return np.square(recent - reference).sum(axis=-1)


def bin_edges(confidences: np.ndarray) -> np.ndarray:
    """Return the inner edges of at most ten bins that contain equally many confidences of the reference, at least five each."""
    n_bins = max(2, min(N_BINS, len(confidences) // LEAST_IN_BIN))
    return np.unique(np.quantile(confidences, np.arange(1, n_bins) / n_bins))


def bin_features(confidences: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """Return a matrix with 1 in the column of each row's bin."""
    return np.eye(len(edges) + 1, dtype=np.float32)[np.searchsorted(edges, confidences, side="right")]


def stability_terms(recent: np.ndarray, reference: np.ndarray, n_recent: int, n_reference: int) -> np.ndarray:
    """Return what each bin adds to the population stability index, from the shares of images in each bin."""
    k = reference.shape[-1]
    q = (recent * n_recent + SMOOTHING) / (n_recent + SMOOTHING * k)
    p = (reference * n_reference + SMOOTHING) / (n_reference + SMOOTHING * k)
    return (q - p) * np.log(q / p)


def stability(n_recent: int, n_reference: int) -> Statistic:
    """Return a function that computes the population stability index of samples of these sizes."""

    def index(recent: np.ndarray, reference: np.ndarray) -> np.ndarray:
        return stability_terms(recent, reference, n_recent, n_reference).sum(axis=-1)

    return index


def permutation_p(
    recent: np.ndarray, reference: np.ndarray, statistic: Statistic, level: float, random: np.random.Generator
) -> tuple[float, float]:
    """Return a statistic of two samples, and its p value by permutations of their rows.

    Parameters
    ----------
    recent, reference : arrays of shape (m, k), (n, k)
        Features of the rows of both samples.
    statistic : callable
        Computes a value from the mean features of both samples; large if they differ.
    level : float
        The p value is compared with this number. The test stops as soon as the p value must be greater (Besag and Clifford,
        1991), so that most tests need few permutations.
    random : Generator

    Returns
    -------
    value, p : float
    """
    m, n = len(recent), len(reference)
    pooled = np.concatenate([recent, reference])
    total, most = pooled.sum(axis=0, dtype=np.float64), math.ceil((TOLERATED + 1) / level)
    value = float(statistic(recent.mean(axis=0, dtype=np.float64), reference.mean(axis=0, dtype=np.float64)))
    n_done = n_as_large = 0
    size = FIRST_PERMUTATIONS
    while n_done < most and n_as_large <= TOLERATED:
        size = min(size, most - n_done)
        chosen = np.zeros((size, m + n), np.float32)
        np.put_along_axis(chosen, random.random((size, m + n), np.float32).argpartition(m - 1, axis=1)[:, :m], 1, axis=1)
        sums = (chosen @ pooled).astype(np.float64)
        found = statistic(sums / m, (total - sums) / n)
        n_as_large += int(np.count_nonzero(found >= value - 1e-6 * abs(value)))  # equal samples differ by rounding errors
        n_done, size = n_done + size, min(2 * size, MOST_PERMUTATIONS)
    return value, (n_as_large + 1) / (n_done + 1)


def ranks(values: np.ndarray) -> np.ndarray:
    """Return the rank of each value; equal values have their mean rank."""
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    return (np.cumsum(counts) - (counts - 1) / 2)[place]


def correlation_length(rows: np.ndarray) -> int:
    """Return a distance in frames at which frames are independent, at most a quarter of all.

    It is half as long again as the smallest distance at which their correlation is less than 0.1. A rest of correlation would
    matter: levels are so small that a standard deviation that is 10 % too small gives eight times as many false alarms.

    Parameters
    ----------
    rows : array of shape (n, k)
        One row per frame, in order.
    """
    centred = np.asarray(rows, np.float64) - np.mean(rows, axis=0)
    n, power = len(rows), float(np.square(centred).mean(axis=0).sum())
    if power <= 1e-12 * max(1.0, float(np.square(rows).mean())):
        return 1
    for lag in range(1, n // 4):
        if float((centred[:-lag] * centred[lag:]).mean(axis=0).sum()) < LEAST_CORRELATION * power:
            return 1 if lag == 1 else min(math.ceil(MARGIN * lag), n // 4)
    return max(1, n // 4)
