"""k-means and the nearest word, by squared Euclidean distance, in tiles that stay in the second-level cache.

Half the squared distance of point x and word w, less what all words share, is |w|²/2 - x·w: the products come from BLAS
with the words as rows and the points as lanes, so that the search for the smallest runs over lanes, without a reduction.
"""

import numpy as np
from numba import njit

from featrec.compiled._wide import wide_vectors

POINTS = 256
WORDS = 1024


@njit(nogil=True, cache=True, error_model="numpy")
def _smallest_of_eight(products, half_norms, best, places):
    # Which eight words the nearest is among; which of them is asked once a point and not once a product.
    wide_vectors()
    k, m = products.shape
    best[:] = np.inf
    places[:] = 0
    whole = k - k % 8
    for j in range(0, whole, 8):
        rows = products[j : j + 8]
        h0, h1, h2, h3 = half_norms[j], half_norms[j + 1], half_norms[j + 2], half_norms[j + 3]
        h4, h5, h6, h7 = half_norms[j + 4], half_norms[j + 5], half_norms[j + 6], half_norms[j + 7]
        place = np.int32(j)
        for i in range(m):
            low = min(min(h0 - rows[0, i], h1 - rows[1, i]), min(h2 - rows[2, i], h3 - rows[3, i]))
            high = min(min(h4 - rows[4, i], h5 - rows[5, i]), min(h6 - rows[6, i], h7 - rows[7, i]))
            value = min(low, high)
            closer = value < best[i]
            places[i] = place if closer else places[i]
            best[i] = value if closer else best[i]
    for j in range(whole, k):
        half_norm, row, place = half_norms[j], products[j], np.int32(j)
        for i in range(m):
            value = half_norm - row[i]
            closer = value < best[i]
            places[i] = place if closer else places[i]
            best[i] = value if closer else best[i]


@njit(nogil=True, cache=True, error_model="numpy")
def _nearest_in_tile(tile, words, half_norms, products, smallest, nearest):
    wide_vectors()
    m, k = tile.shape[0], words.shape[0]
    best, places = np.empty(m, np.float32), np.empty(m, np.int32)
    smallest[:] = np.inf
    nearest[:] = 0
    for start in range(0, k, WORDS):
        stop = min(start + WORDS, k)
        block = products[: (stop - start) * m].reshape(stop - start, m)
        np.dot(words[start:stop], tile.T, block)
        halves = half_norms[start:stop]
        _smallest_of_eight(block, halves, best, places)
        for i in range(m):
            if best[i] < smallest[i]:
                j = places[i]
                while halves[j] - block[j, i] != best[i]:
                    j += 1
                smallest[i] = best[i]
                nearest[i] = np.int32(start + j)


@njit(nogil=True, cache=True, error_model="numpy")
def nearest_euclidean(points, words, half_norms, nearest):
    """The index of each point's nearest word; of equals the first.

    IN points (n, d), words (k, d), half_norms (k,) half the words' squared lengths, all float32; OUT nearest (n,) int32.
    """
    wide_vectors()
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
    wide_vectors()
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
    wide_vectors()
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
