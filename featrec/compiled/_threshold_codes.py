"""Threshold codes: how far each descriptor reaches beyond a threshold along each word, both ways, pooled by cell.

Words are lanes, so that a descriptor's activations are added to its cell's row whatever cell the next one lies in.
"""

import numpy as np
from numba import njit

from featrec.compiled._options import LOOP
from featrec.compiled._parts import part

POINTS = 192
WORDS = 800


@part(fastmath={"reassoc", "contract", "nsz"})
def _add_activations(products, threshold, above, below):
    none = np.float32(0.0)
    for j in range(products.shape[0]):
        above[j] += max(none, products[j] - threshold)
        below[j] += max(none, -products[j] - threshold)


@njit(**LOOP)
def threshold_code(points, words, cells, threshold, pooled):
    """For each cell and word the sums over points of max(0, x·w - threshold), and behind them of max(0, -x·w - threshold).

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
