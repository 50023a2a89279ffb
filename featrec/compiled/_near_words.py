"""Codes that use only the words nearest to each descriptor: VLAD, localized soft assignment and LLC.

The loops compare |w|²/2 - x·w. Each vector lane holds one point, and a tile of points stays in the second-level cache.
"""

import numpy as np
from numba import njit, types

from featrec.compiled._parts import LOOP, part

POINTS = 256
WORDS = 256
LANES = 16


# Allow sums to be reordered, because vector instructions require this.
@part(fastmath={"reassoc", "contract", "nsz"})
def _half_norms(rows, halves):
    for i in range(rows.shape[0]):
        total = np.float32(0.0)
        for f in range(rows.shape[1]):
            total += rows[i, f] * rows[i, f]
        halves[i] = np.float32(0.5) * total


@part()
def _nearest_word_in_tile(tile, words, half_norms, products, smallest, nearest):
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
    """For each cell and word w, sum x - w over the points x whose nearest word is w; also count these points.

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
        _nearest_word_in_tile(tile, words, half_norms, products, smallest[:m], nearest[:m])
        for i in range(m):
            cell, word = cells[start + i], nearest[i]
            counts[cell, word] += np.float32(1.0)
            for f in range(d):
                residuals[cell, word, f] += tile[i, f] - words[word, f]


@part()
def _load(points, start, tile):
    """Copy the next points to a tile, padded with zeros."""
    m = min(tile.shape[0], points.shape[0] - start)
    for i in range(m):
        for f in range(tile.shape[1]):
            tile[i, f] = points[start + i, f]
    tile[m:] = 0


@part(returns=types.float32)
def _insert(value, word, i, smallest, nearest):
    """Insert a word into a point's list of nearest words, after equally near words; return the last value of the list."""
    last = smallest.shape[1] - 1
    place = last
    while place > 0 and value < smallest[i, place - 1]:
        smallest[i, place] = smallest[i, place - 1]
        nearest[i, place] = nearest[i, place - 1]
        place -= 1
    smallest[i, place] = value
    nearest[i, place] = word
    return smallest[i, last]


@part()
def _nearest_words_in_tile(tile, words, half_norms, products, smallest, nearest, farthest):
    m, k = tile.shape[0], words.shape[0]
    smallest[:] = np.inf
    nearest[:] = 0
    farthest[:] = np.inf
    for start in range(0, k, WORDS):
        stop = min(start + WORDS, k)
        flat = products[: (stop - start) * m].reshape(stop - start, m)
        np.dot(words[start:stop], tile.T, flat)
        block = flat.reshape(stop - start, m // LANES, LANES)
        for j in range(stop - start):
            half_norm = half_norms[start + j]
            for c in range(m // LANES):
                closer = np.int32(0)
                for i in range(LANES):
                    closer += np.int32(half_norm - block[j, c, i] < farthest[c, i])
                if closer:
                    for i in range(LANES):
                        value = half_norm - block[j, c, i]
                        if value < farthest[c, i]:
                            farthest[c, i] = _insert(value, start + j, c * LANES + i, smallest, nearest)


@njit(**LOOP)
def soft_neighbors(points, words, cells, n_neighbors, scale, pooled):
    """For each cell and word w, sum exp(-scale |x - w|²/2) over points x; the weights of x's nearest words sum to 1.

    Words that are not among the `n_neighbors` nearest words of x have the weight 0.
    IN points (n, d) float32 or uint8, words (k, d) float32, cells (n,) int64, scale float32;
    OUT pooled (n_cells, k) float32.
    """
    n, d = points.shape
    k = words.shape[0]
    pooled[:] = 0
    size = -(-min(POINTS, n) // LANES) * LANES
    half_norms = np.empty(k, np.float32)
    _half_norms(words, half_norms)
    tile, products = np.empty((size, d), np.float32), np.empty(min(WORDS, k) * size, np.float32)
    smallest, nearest = np.empty((size, n_neighbors), np.float32), np.empty((size, n_neighbors), np.int32)
    farthest = np.empty((size // LANES, LANES), np.float32)
    weights = np.empty(n_neighbors, np.float32)
    for start in range(0, n, size):
        m = min(size, n - start)
        _load(points, start, tile)
        _nearest_words_in_tile(tile, words, half_norms, products, smallest, nearest, farthest)
        for i in range(m):
            total = np.float32(0.0)
            for s in range(n_neighbors):
                weights[s] = np.exp((smallest[i, 0] - smallest[i, s]) * scale)
                total += weights[s]
            for s in range(n_neighbors):
                pooled[cells[start + i], nearest[i, s]] += weights[s] / total


@part(fastmath={"reassoc", "contract", "nsz"})
def _products_of_rows(rows, products):
    for a in range(rows.shape[0]):
        for b in range(a + 1):
            total = np.float32(0.0)
            for f in range(rows.shape[1]):
                total += rows[a, f] * rows[b, f]
            products[a, b] = total
            products[b, a] = total


@part()
def _solve_for_ones(matrix, solution):
    """Solve matrix @ solution = ones by Cholesky decomposition. The matrix must be positive definite; it is overwritten."""
    s = matrix.shape[0]
    for a in range(s):
        for b in range(a + 1):
            total = matrix[a, b]
            for c in range(b):
                total -= matrix[a, c] * matrix[b, c]
            matrix[a, b] = np.sqrt(total) if a == b else total / matrix[b, b]
    for a in range(s):
        total = 1.0
        for b in range(a):
            total -= matrix[a, b] * solution[b]
        solution[a] = total / matrix[a, a]
    for a in range(s - 1, -1, -1):
        total = solution[a]
        for b in range(a + 1, s):
            total -= matrix[b, a] * solution[b]
        solution[a] = total / matrix[a, a]


@part()
def _reconstruct(point, words, nearest, regularization, differences, matrix, solution):
    """Compute the weights with which the nearest words reconstruct a point; the sum of the weights is 1."""
    s, d = differences.shape
    for a in range(s):
        word = words[nearest[a]]
        for f in range(d):
            differences[a, f] = word[f] - point[f]
    _products_of_rows(differences, matrix)
    trace = 0.0
    for a in range(s):
        trace += matrix[a, a]
    # If all nearest words are copies of the point, their weights are equal.
    ridge = regularization * trace if trace > 0.0 else 1.0
    for a in range(s):
        matrix[a, a] += ridge
    _solve_for_ones(matrix, solution)
    solution /= solution.sum()


@njit(**LOOP)
def llc(points, words, cells, n_neighbors, regularization, pooled):
    """For each cell and word, find the largest weight with which the word contributes to the reconstruction of a point.

    The weights c of a point's nearest words solve (Z Zᵀ + regularization tr(Z Zᵀ) I) c = 1, where the rows of Z are these
    words minus the point; c is then divided by its sum. All other words have weight 0.

    IN points (n, d) float32 or uint8, words (k, d) float32, cells (n,) int64; OUT pooled (n_cells, k) float32.
    """
    n, d = points.shape
    k = words.shape[0]
    size = -(-min(POINTS, n) // LANES) * LANES
    half_norms = np.empty(k, np.float32)
    _half_norms(words, half_norms)
    tile, products = np.empty((size, d), np.float32), np.empty(min(WORDS, k) * size, np.float32)
    smallest, nearest = np.empty((size, n_neighbors), np.float32), np.empty((size, n_neighbors), np.int32)
    farthest = np.empty((size // LANES, LANES), np.float32)
    differences = np.empty((n_neighbors, d), np.float32)
    matrix, solution = np.empty((n_neighbors, n_neighbors), np.float64), np.empty(n_neighbors, np.float64)
    in_cell, users = np.zeros(pooled.shape[0], np.int64), np.zeros(pooled.shape, np.int32)
    pooled[:] = -np.inf
    for start in range(0, n, size):
        m = min(size, n - start)
        _load(points, start, tile)
        _nearest_words_in_tile(tile, words, half_norms, products, smallest, nearest, farthest)
        for i in range(m):
            cell = cells[start + i]
            in_cell[cell] += 1
            _reconstruct(tile[i], words, nearest[i], regularization, differences, matrix, solution)
            for s in range(n_neighbors):
                word = nearest[i, s]
                users[cell, word] += 1
                pooled[cell, word] = max(pooled[cell, word], np.float32(solution[s]))
    for cell in range(pooled.shape[0]):
        for j in range(k):
            if users[cell, j] < in_cell[cell] or not in_cell[cell]:
                pooled[cell, j] = max(pooled[cell, j], np.float32(0.0))
