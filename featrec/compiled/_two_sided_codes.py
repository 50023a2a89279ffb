"""SignCode and ThresholdCode have two columns for each word: one for descriptors, one for their opposites (times -1).

Each vector lane holds one word, so the values of a descriptor are added to the row of its cell. SignCode does not sort
distances; it only needs a limit below which there are `wanted` words. The first guess assumes that distances are normally
distributed. Then the words below the limit are counted, and the limit is interpolated. A few counts are enough, and each is a
fast loop over the words.
"""

import numpy as np
from numba import njit, types

from featrec.compiled._parts import LOOP, part, wide_vectors

# Number of points per tile, and number of words per block.
POINTS, WORDS = 192, 800
# Maximum number of products in a tile of SignCode; they take 640 KB.
ROOM = 160_000
# Maximum number of guesses extrapolated with the slope of a normal distribution; after them, the minimum and maximum are used.
GUESSES = 4
# After every fourth count, the interval is halved, because interpolation may converge slowly.
HALVING = 4


@part(fastmath={"reassoc", "contract", "nsz"})
def _add_activations(products, threshold, above, below):
    none = np.float32(0.0)
    for j in range(products.shape[0]):
        above[j] += max(none, products[j] - threshold)
        below[j] += max(none, -products[j] - threshold)


@njit(**LOOP)
def threshold_code(points, words, cells, threshold, pooled):
    """For each cell and word w, sum max(0, x·w - threshold) over the cell's points x; also sum max(0, -x·w - threshold).

    IN points (n, d) float32 or uint8, words (k, d) float32, cells (n,) int64, threshold float32;
    OUT pooled (n_cells, 2k) float32.
    """
    n, d = points.shape
    k = words.shape[0]
    pooled[:] = 0
    size = max(1, min(n, POINTS))
    tile, products = np.empty((size, d), np.float32), np.empty(size * min(k, WORDS), np.float32)
    for start in range(0, n, size):
        m = min(size, n - start)
        for i in range(m):
            for f in range(d):
                tile[i, f] = points[start + i, f]
        for first in range(0, k, WORDS):
            last = min(first + WORDS, k)
            block = products[: m * (last - first)].reshape(m, last - first)
            np.dot(tile[:m], words[first:last].T, block)
            for i in range(m):
                row = pooled[cells[start + i]]
                _add_activations(block[i], threshold, row[first:last], row[k + first : k + last])


# Allow sums to be reordered, because vector instructions require this.
@part(fastmath={"reassoc", "contract", "nsz"})
def _half_squares(rows, halves):
    for i in range(rows.shape[0]):
        total = np.float32(0.0)
        for f in range(rows.shape[1]):
            total += rows[i, f] * rows[i, f]
        halves[i] = np.float32(0.5) * total


@part(returns=types.UniTuple(types.float32, 2), fastmath={"reassoc", "contract", "nsz"})
def _distances(products, half_squares, sign, values):
    """Compute half the squared distances, without the term that is the same for all words; return their mean and deviation."""
    wide_vectors()
    total = squares = np.float32(0.0)
    for j in range(products.shape[0]):
        value = half_squares[j] - sign * products[j]
        values[j] = value
        total += value
        squares += value * value
    n = np.float32(products.shape[0])
    mean = total / n
    return mean, np.sqrt(max(np.float32(0.0), squares / n - mean * mean))


@part(returns=types.float32, fastmath={"reassoc", "contract", "nsz"})
def _count(values, border):
    wide_vectors()
    one, none, total = np.float32(1.0), np.float32(0.0), np.float32(0.0)
    for j in range(values.shape[0]):
        total += one if values[j] <= border else none
    return total


@part(returns=types.UniTuple(types.float32, 2))
def _extremes(values):
    least = largest = values[0]
    for value in values:
        least, largest = min(least, value), max(largest, value)
    return least, largest


@part(returns=types.float32)
def _border(values, wanted, guess, slope):
    """Return a number such that `wanted` values are at or below it; if values are tied, return the tied value.

    The number is in (low, high]: fewer than `wanted` values are at or below low, and at least `wanted` are at or below high.
    If there is no float32 number between low and high, values are tied.
    """
    low, high = np.float32(-np.inf), np.float32(np.inf)
    below, reached, half = np.float32(0.0), np.float32(values.shape[0]), np.float32(0.5)
    border, rounds = guess, 0
    while True:
        count = _count(values, border)
        if count == wanted:
            return border
        if count < wanted:
            low, below = border, count
        else:
            high, reached = border, count
        rounds += 1
        if not (np.isfinite(low) and np.isfinite(high)):
            # The step is a little longer than the slope suggests, so the next limit is likely to be beyond the wanted one.
            border += (wanted - count) * slope * np.float32(1.2)
            if rounds < GUESSES and low < border < high:
                continue
            least, largest = _extremes(values)
            count = _count(values, least)
            if count >= wanted:
                return least
            if not low >= least:
                low, below = least, count
            if not high <= largest:
                high, reached = largest, np.float32(values.shape[0])
        part = (wanted - below) / (reached - below)
        border = low + (high - low) * part
        if rounds % HALVING == 0 or not low < border < high:
            border = half * low + half * high
            if not low < border < high:
                return high


@part(fastmath={"reassoc", "contract", "nsz"})
def _add_nearest(values, border, pooled):
    wide_vectors()
    one, none = np.float32(1.0), np.float32(0.0)
    for j in range(values.shape[0]):
        pooled[j] += one if values[j] <= border else none


@njit(**LOOP)
def sign_code(points, words, cells, wanted, quantile, density, pooled):
    """For each cell and word, count the points for which the word is among the `wanted` nearest words.

    Do the same for the opposites of the points. If several words are as near as the last of these words, all of them are
    counted.

    IN points (n, d) float32 or uint8, words (k, d) float32, cells (n,) int64, wanted int64 in 1 to k; quantile and density
    float32, of the normal distribution at probability wanted / k, for the first guess (which does not affect the result);
    OUT pooled (n_cells, 2k) float32.
    """
    n, d = points.shape
    k = words.shape[0]
    pooled[:] = 0
    half_squares, values = np.empty(k, np.float32), np.empty(k, np.float32)
    _half_squares(words, half_squares)
    size = max(1, min(n, POINTS, ROOM // k))
    tile, products = np.empty((size, d), np.float32), np.empty((size, k), np.float32)
    for start in range(0, n, size):
        m = min(size, n - start)
        for i in range(m):
            for f in range(d):
                tile[i, f] = points[start + i, f]
        np.dot(tile[:m], words.T, products[:m])
        for i in range(m):
            cell = cells[start + i]
            for side in range(2):
                sign = np.float32(1 - 2 * side)
                mean, deviation = _distances(products[i], half_squares, sign, values)
                slope = deviation / (density * np.float32(k))
                border = _border(values, np.float32(wanted), mean + quantile * deviation, slope)
                _add_nearest(values, border, pooled[cell, side * k : side * k + k])
