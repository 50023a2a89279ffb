"""Triangle codes and soft assignment to all words. Values are summed by cell, so no matrix of n points by k words is stored.

Each vector lane holds one point. Points are sorted by cell, so a tile consists of a few runs of points with the same cell. The
values of all words for one tile stay in the second-level cache.
"""

import numpy as np
from numba import njit, types

from featrec.compiled._parts import LOOP, part

ROOM = 320_000  # values per tile, 1.2 MB
POINTS = 192
LANES = 16
WORDS = 800
# This is 32 ln 2: weights below 2⁻³² are negligible and set to zero, where the weight of the nearest word is 1.
FAINTEST = 22.18


# Allow sums to be reordered, because vector instructions require this.
@part(fastmath={"reassoc", "contract", "nsz"})
def _squared_lengths(rows, lengths):
    for i in range(rows.shape[0]):
        total = np.float32(0.0)
        for f in range(rows.shape[1]):
            total += rows[i, f] * rows[i, f]
        lengths[i] = total


@part()
def _order_by_cell(cells, n_cells, order):
    """Write the indices of the points, sorted by cell."""
    starts = np.zeros(n_cells + 1, np.int64)
    for i in range(cells.shape[0]):
        starts[cells[i] + 1] += 1
    for c in range(n_cells):
        starts[c + 1] += starts[c]
    for i in range(cells.shape[0]):
        order[starts[cells[i]]] = i
        starts[cells[i]] += 1


@part(returns=types.int64)
def _tile_size(n, k):
    """Return the number of points per tile: a multiple of the vector length that gives tiles of similar size."""
    most = max(LANES, min(POINTS, ROOM // k // LANES * LANES))
    tiles = max(1, -(-n // most))
    return max(1, -(-n // (tiles * LANES))) * LANES


@part()
def _load(points, order, start, tile):
    """Copy the next points to a tile, padded with zeros."""
    m = min(tile.shape[0], order.shape[0] - start)
    for i in range(m):
        place = order[start + i]
        for f in range(tile.shape[1]):
            tile[i, f] = points[place, f]
    tile[m:] = 0


@part(returns=types.int64)
def _find_runs(cells, order, start, size, run_ends, run_cells):
    """Find the ends of the runs in a tile; return the number of runs.

    The ends are unsigned, because loops over an index that may be negative are not vectorised.
    """
    runs = 0
    for i in range(min(size, order.shape[0] - start)):
        cell = cells[order[start + i]]
        if i == 0 or cell != run_cells[runs - 1]:
            run_cells[runs] = cell
            runs += 1
        run_ends[runs - 1] = i + 1
    return runs


@part(fastmath={"reassoc", "contract", "nsz"})
def _pool_and_measure(products, word_lengths, lengths, sums, values, means, run_ends, run_cells, runs, pooled):
    """For each word, add the triangle codes of the previous tile, then replace its distances with those of this tile.

    The two steps are independent, so the processor can do the first one while it computes the square roots of the second.
    """
    none, two = np.float32(0.0), np.float32(2.0)
    for j in range(products.shape[0]):
        row, old, length = products[j], values[j], word_lengths[j]
        first = np.uint64(0)
        for r in range(runs):
            total, last = none, run_ends[r]
            for i in range(first, last):
                total += max(none, means[i] - old[i])
                distance = np.sqrt(max(none, (lengths[i] + length) - two * row[i]))
                old[i] = distance
                sums[i] += distance
            pooled[run_cells[r], j] += total
            first = last


@part(fastmath={"reassoc", "contract", "nsz"})
def _pool_activations(values, means, run_ends, run_cells, runs, pooled):
    for j in range(values.shape[0]):
        row, first = values[j], np.uint64(0)
        for r in range(runs):
            total, last = np.float32(0.0), run_ends[r]
            for i in range(first, last):
                total += max(np.float32(0.0), means[i] - row[i])
            pooled[run_cells[r], j] += total
            first = last


@njit(**LOOP)
def triangle_code(points, words, cells, pooled):
    """For each cell and word, sum max(0, mean distance to all words - distance to the word) over the points of the cell.

    IN points (n, d) float32 or uint8, words (k, d) float32, cells (n,) int64; OUT pooled (n_cells, k) float32.
    """
    n, d = points.shape
    k = words.shape[0]
    pooled[:] = 0
    size = _tile_size(n, k)
    order = np.empty(n, np.int64)
    _order_by_cell(cells, pooled.shape[0], order)
    word_lengths, lengths = np.empty(k, np.float32), np.empty(size, np.float32)
    _squared_lengths(words, word_lengths)
    tile, products = np.empty((size, d), np.float32), np.empty(min(WORDS, k) * size, np.float32)
    # Before the first tile, all distances and means are zero and add nothing.
    values, sums, means = np.zeros((k, size), np.float32), np.zeros(size, np.float32), np.zeros(size, np.float32)
    run_ends, run_cells = np.full(size, size, np.uint64), np.zeros(size, np.int64)
    runs = 1
    for start in range(0, n, size):
        _load(points, order, start, tile)
        _squared_lengths(tile, lengths)
        sums[:] = 0
        for first in range(0, k, WORDS):
            last = min(first + WORDS, k)
            block = products[: (last - first) * size].reshape(last - first, size)
            np.dot(words[first:last], tile.T, block)
            lengths_here, values_here, pooled_here = word_lengths[first:last], values[first:last], pooled[:, first:last]
            _pool_and_measure(block, lengths_here, lengths, sums, values_here, means, run_ends, run_cells, runs, pooled_here)
        for i in range(size):
            means[i] = sums[i] / np.float32(k)
        runs = _find_runs(cells, order, start, size, run_ends, run_cells)
    _pool_activations(values, means, run_ends, run_cells, runs, pooled)


@part()
def _half_distances(products, half_norms, values, smallest):
    for j in range(products.shape[0]):
        row, out, half_norm = products[j], values[j], half_norms[j]
        for i in range(products.shape[1]):
            value = half_norm - row[i]
            out[i] = value
            smallest[i] = min(smallest[i], value)


@part(fastmath={"reassoc", "contract", "nsz"})
def _weigh(values, smallest, scale, totals):
    """Replace values with exp(x), x = (smallest - value) * scale: the 32nd power of a polynomial for exp(x / 32)."""
    one, none, part, limit = np.float32(1.0), np.float32(0.0), np.float32(1.0 / 32.0), np.float32(-FAINTEST)
    c2, c3, c4 = np.float32(1 / 2), np.float32(1 / 6), np.float32(1 / 24)
    c5, c6 = np.float32(1 / 120), np.float32(1 / 720)
    for j in range(values.shape[0]):
        row = values[j]
        for i in range(values.shape[1]):
            exponent = (smallest[i] - row[i]) * scale
            x = max(exponent, limit) * part
            e = one + x * (one + x * (c2 + x * (c3 + x * (c4 + x * (c5 + x * c6)))))
            e *= e
            e *= e
            e *= e
            e *= e
            e *= e
            weight = e if exponent > limit else none
            row[i] = weight
            totals[i] += weight


@part(fastmath={"reassoc", "contract", "nsz"})
def _pool_shares(values, shares, run_ends, run_cells, runs, pooled):
    for j in range(values.shape[0]):
        row, first = values[j], np.uint64(0)
        for r in range(runs):
            total, last = np.float32(0.0), run_ends[r]
            for i in range(first, last):
                total += row[i] * shares[i]
            pooled[run_cells[r], j] += total
            first = last


@njit(**LOOP)
def soft_words(points, words, cells, scale, pooled):
    """For each cell and word w, sum exp(-scale |x - w|²/2) over the points x; each point's weights are scaled to a sum of 1.

    IN points (n, d) float32 or uint8, words (k, d) float32, cells (n,) int64, scale float32;
    OUT pooled (n_cells, k) float32.
    """
    n, d = points.shape
    k = words.shape[0]
    pooled[:] = 0
    size = _tile_size(n, k)
    order = np.empty(n, np.int64)
    _order_by_cell(cells, pooled.shape[0], order)
    half_norms = np.empty(k, np.float32)
    _squared_lengths(words, half_norms)
    half_norms *= np.float32(0.5)
    tile, products = np.empty((size, d), np.float32), np.empty(min(WORDS, k) * size, np.float32)
    values, smallest, totals = np.empty((k, size), np.float32), np.empty(size, np.float32), np.empty(size, np.float32)
    run_ends, run_cells = np.empty(size, np.uint64), np.empty(size, np.int64)
    for start in range(0, n, size):
        _load(points, order, start, tile)
        runs = _find_runs(cells, order, start, size, run_ends, run_cells)
        smallest[:] = np.inf
        totals[:] = 0
        for first in range(0, k, WORDS):
            last = min(first + WORDS, k)
            block = products[: (last - first) * size].reshape(last - first, size)
            np.dot(words[first:last], tile.T, block)
            _half_distances(block, half_norms[first:last], values[first:last], smallest)
        _weigh(values, smallest, scale, totals)
        for i in range(size):
            totals[i] = np.float32(1.0) / totals[i]
        _pool_shares(values, totals, run_ends, run_cells, runs, pooled)
