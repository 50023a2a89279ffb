"""k-means and the nearest word, by squared Euclidean distance, in tiles that stay in the second-level cache.

Half the squared distance of point x and word w, less what all words share, is |w|²/2 - x·w: the products come from BLAS
with the words as rows and the points as lanes, so that the search for the smallest runs over lanes, without a reduction.
"""

import numpy as np
from numba import njit

POINTS = 256
WORDS = 256


@njit(nogil=True, cache=True, error_model="numpy")
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


@njit(nogil=True, cache=True, error_model="numpy")
def nearest_euclidean(points, words, half_norms, nearest):
    """The index of each point's nearest word; of equals the first.

    IN points (n, d), words (k, d), half_norms (k,) half the words' squared lengths, all float32; OUT nearest (n,) int32.
    """
    n, k = points.shape[0], words.shape[0]
    products = np.empty(min(WORDS, k) * min(POINTS, n), np.float32)
    smallest = np.empty(min(POINTS, n), np.float32)
    for start in range(0, n, POINTS):
        stop = min(start + POINTS, n)
        room = smallest[: stop - start]
        _nearest_in_tile(points[start:stop], words, half_norms, products, room, nearest[start:stop])


@njit(nogil=True, cache=True, error_model="numpy")
def lloyd_round(points, words, half_norms, half_point_norms, nearest, distances, sums, counts):
    """One round of k-means over some of the points: whom each belongs to, and what the words' next means are made of.

    IN points (n, d), words (k, d), half_norms (k,), half_point_norms (n,), all float32;
    OUT nearest (n,) int32, distances (n,) float32 squared, sums (k, d) float64, counts (k,) int64.
    """
    n, d = points.shape
    k = words.shape[0]
    products = np.empty(min(WORDS, k) * min(POINTS, n), np.float32)
    sums[:] = 0.0
    counts[:] = 0
    two, none = np.float32(2.0), np.float32(0.0)
    for start in range(0, n, POINTS):
        stop = min(start + POINTS, n)
        _nearest_in_tile(points[start:stop], words, half_norms, products, distances[start:stop], nearest[start:stop])
        for i in range(start, stop):
            distances[i] = max(none, two * (distances[i] + half_point_norms[i]))
            word = nearest[i]
            counts[word] += 1
            for f in range(d):
                sums[word, f] += points[i, f]


@njit(nogil=True, cache=True, error_model="numpy")
def seed_euclidean(points, half_point_norms, first, draws, chosen):
    """Start words of k-means, drawn far from one another; of several candidates the one that helps most (k-means++).

    IN points (n, d) and half_point_norms (n,) float32, first the first word's place, draws (k - 1, candidates) in [0, 1);
    OUT chosen (k,) int64, the words' places among the points.
    """
    n, d = points.shape
    rounds, trials = draws.shape
    two, none = np.float32(2.0), np.float32(0.0)
    candidates = np.empty((trials, d), np.float32)
    places = np.empty(trials, np.int64)
    products = np.empty((trials, n), np.float32)
    gaps = np.empty(n, np.float32)
    mass = np.empty(n, np.float64)
    chosen[0] = first
    np.dot(points[first : first + 1], points.T, products[:1])
    for i in range(n):
        gaps[i] = max(none, two * (half_point_norms[i] + half_point_norms[first] - products[0, i]))
    gaps[first] = none
    for step in range(rounds):
        total = 0.0
        for i in range(n):
            total += gaps[i]
            mass[i] = total
        for t in range(trials):
            places[t] = min(np.searchsorted(mass, draws[step, t] * total, "right"), n - 1)
            candidates[t] = points[places[t]]
        np.dot(candidates, points.T, products)
        best, least = 0, np.inf
        for t in range(trials):
            row = products[t]
            half_norm = half_point_norms[places[t]]
            for i in range(n):
                row[i] = min(gaps[i], max(none, two * (half_point_norms[i] + half_norm - row[i])))
            row[places[t]] = none
            left = row.astype(np.float64).sum()
            if left < least:
                best, least = t, left
        chosen[step + 1] = places[best]
        gaps[:] = products[best]
