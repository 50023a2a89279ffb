"""Nearest words by squared Euclidean distance, and k-means, in tiles that stay in the second-level cache.

Half the squared distance between a point x and a word w is |w|²/2 - x·w, without the term that is the same for all words. BLAS
computes the products; their rows are words, so vector instructions find the minima of several points at once.
"""

import numpy as np
from numba import njit

from featrec.compiled._parts import LOOP, larger, part, smaller, wide_vectors

POINTS = 256
WORDS = 1024


@part()
def _smallest_of_eight(products, half_norms, best, places):
    # First find the group of eight words that contains the nearest one; the word itself is then looked up once per point, not
    # once per product.
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
            low = smaller(smaller(h0 - rows[0, i], h1 - rows[1, i]), smaller(h2 - rows[2, i], h3 - rows[3, i]))
            high = smaller(smaller(h4 - rows[4, i], h5 - rows[5, i]), smaller(h6 - rows[6, i], h7 - rows[7, i]))
            value = smaller(low, high)
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


@part()
def _nearest_in_tile(tile, words, half_norms, products, best, places, smallest, nearest):
    wide_vectors()
    m, k = tile.shape[0], words.shape[0]
    smallest[:] = np.inf
    nearest[:] = 0
    for start in range(0, k, WORDS):
        stop = smaller(start + WORDS, k)
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


@njit(**LOOP)
def nearest_euclidean(points, words, half_norms, nearest, distances):
    """Find the index of the nearest word of each point; if several words are equally near, the first is used.

    IN points (n, d), words (k, d), half_norms (k,) with half the squared lengths of the words, all float32;
    OUT nearest (n,) int32, distances (n,) float32 with half the squared distances, without the term that is the same for all
    words.
    """
    wide_vectors()
    n, k = points.shape[0], words.shape[0]
    size = smaller(POINTS, n)
    products, best = np.empty(smaller(WORDS, k) * size, np.float32), np.empty(size, np.float32)
    places = np.empty(size, np.int32)
    for start in range(0, n, POINTS):
        stop = smaller(start + POINTS, n)
        m = stop - start
        smallest = distances[start:stop]
        _nearest_in_tile(points[start:stop], words, half_norms, products, best[:m], places[:m], smallest, nearest[start:stop])


@njit(**LOOP)
def gather_members(points, half_point_norms, nearest, distances, sums, counts):
    """Compute the sums and counts that determine the next words, and the squared distances of the points to their words.

    IN points (n, d), half_point_norms (n,) float32, nearest (n,) int32;
    IN and OUT distances (n,) float32: as from `nearest_euclidean`, then squared distances;
    OUT sums (k, d) float64, counts (k,) int64.
    """
    two, none = np.float32(2.0), np.float32(0.0)
    sums[:] = 0.0
    counts[:] = 0
    for i in range(points.shape[0]):
        distances[i] = larger(none, two * (distances[i] + half_point_norms[i]))
        word = nearest[i]
        counts[word] += 1
        for f in range(points.shape[1]):
            sums[word, f] += points[i, f]


def seed_euclidean(points, half_point_norms, first, draws, chosen):
    """Choose initial words of k-means by k-means++ with several candidates per draw.

    IN points (n, d) and half_point_norms (n,) float32, first (index of the first word), draws (k - 1, candidates) in [0, 1);
    OUT chosen (k,) int64 with the indices of the words among the points.
    """
    n, most = len(points), max(1, draws.shape[1])
    gaps, mass, products = np.full(n, np.inf, np.float32), np.empty(n), np.empty((most, n), np.float32)
    places = np.array([first])
    for step in range(len(chosen)):
        if step:
            np.cumsum(gaps, dtype=np.float64, out=mass)
            # Because of rounding, a limit may equal the total; searchsorted then returns n.
            places = np.minimum(np.searchsorted(mass, draws[step - 1] * mass[-1], side="right"), n - 1)
        near = products[: len(places)]
        np.dot(points[places], points.T, near)
        chosen[step] = places[seed_by_distance(half_point_norms, places, near, gaps)]


@njit(**LOOP)
def seed_by_distance(half_point_norms, places, products, gaps):
    """Return the candidate that gives the smallest total of `gaps`, and update `gaps`.

    IN half_point_norms (n,) float32, places (m,) int64 with the indices of the candidates; work space: products (m, n) float32
    of candidates and points; IN and OUT gaps (n,) float32 with the squared distance of each point to its nearest word.
    """
    two, none = np.float32(2.0), np.float32(0.0)
    best, least = 0, np.inf
    for t in range(len(places)):
        row, half_norm, left = products[t], half_point_norms[places[t]], 0.0
        for i in range(len(gaps)):
            row[i] = smaller(gaps[i], larger(none, two * (half_point_norms[i] + half_norm - row[i])))
        row[places[t]] = none
        for i in range(len(gaps)):
            left += row[i]
        if left < least:
            best, least = t, left
    row = products[best]
    for i in range(len(gaps)):
        gaps[i] = row[i]
    return best
