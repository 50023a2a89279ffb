"""Residual sums (VLAD): for each cell and word, what its descriptors differ from the word by.

As for the nearest word, |w|²/2 - x·w is compared, points are lanes, and a tile of points stays in the second-level cache
until its residuals are added.
"""

import numpy as np
from numba import njit

from featrec.compiled._options import LOOP
from featrec.compiled._parts import part

POINTS = 256
WORDS = 256


# Sums may be reordered, or they would not be taken by lanes.
@part(fastmath={"reassoc", "contract", "nsz"})
def _half_norms(rows, halves):
    for i in range(rows.shape[0]):
        total = np.float32(0.0)
        for f in range(rows.shape[1]):
            total += rows[i, f] * rows[i, f]
        halves[i] = np.float32(0.5) * total


@part()
def _nearest_in_tile(tile, words, half_norms, products, smallest, nearest):
    m, k = tile.shape[0], words.shape[0]
    smallest[:] = np.inf
    nearest[:] = 0
    for start in range(0, k, WORDS):
        stop = min(start + WORDS, k)
        block = products[: (stop - start) * m].reshape(stop - start, m)
        np.dot(words[start:stop], tile.T, block)
        for j in range(stop - start):
            word = np.int32(start + j)
            half_norm = half_norms[start + j]
            row = block[j]
            for i in range(m):
                value = half_norm - row[i]
                closer = value < smallest[i]
                nearest[i] = word if closer else nearest[i]
                smallest[i] = value if closer else smallest[i]


@njit(**LOOP)
def vlad(points, words, cells, residuals, counts):
    """The sum of x - w over the points x of each cell that are nearest to word w, and how many they are.

    IN points (n, d) float32 or uint8, words (k, d) float32, cells (n,) int64;
    OUT residuals (n_cells, k, d), counts (n_cells, k), both float32.
    """
    n, d = points.shape
    k = words.shape[0]
    half_norms = np.empty(k, np.float32)
    tiles = np.empty((min(POINTS, n), d), np.float32)
    products = np.empty(min(WORDS, k) * min(POINTS, n), np.float32)
    smallest = np.empty(min(POINTS, n), np.float32)
    nearest = np.empty(min(POINTS, n), np.int32)
    _half_norms(words, half_norms)
    residuals[:] = 0
    counts[:] = 0
    for start in range(0, n, POINTS):
        m = min(POINTS, n - start)
        tile = tiles[:m]
        for i in range(m):
            for f in range(d):
                tile[i, f] = points[start + i, f]
        _nearest_in_tile(tile, words, half_norms, products, smallest[:m], nearest[:m])
        for i in range(m):
            cell, word = cells[start + i], nearest[i]
            counts[cell, word] += np.float32(1.0)
            for f in range(d):
                residuals[cell, word, f] += tile[i, f] - words[word, f]
