"""Histogram kernels: for each pair of histograms, sum a function of corresponding entries over the features.

A tile of the second histograms is transposed: its rows are features, and each vector lane holds one histogram. It stays in the
first-level cache. Only the positive entries of the first histograms are used, eight at a time, so the loop over the lanes
loads and stores each sum only once for eight terms.
"""

import numpy as np
from numba import njit

from featrec.compiled._parts import LOOP, larger, part, smaller, wide_vectors

LANES = 256
FEATURES = 32
# If entries between 1e-18 and 1 are multiplied by 2²⁹, products of four entries, or of four reciprocals, fit into float32.
SCALE = np.float32(2.0**29)
LEAST = np.float32(5e-10)
# Relative differences below this are treated as rounding errors, so equal histograms have distance 0.
ROUNDING = 2e-6


@part()
def _above_zero(X, first, places, entries, counts):
    for i in range(X.shape[0]):
        count = 0
        for f in range(smaller(places.shape[1], X.shape[1] - first)):
            entry = X[i, first + f]
            places[i, count] = f
            entries[i, count] = entry
            count += entry > np.float32(0.0)
        # The last group of eight entries is padded with zeros, which add nothing.
        while count % 8:
            places[i, count] = 0
            entries[i, count] = np.float32(0.0)
            count += 1
        counts[i] = count


@part()
def _columns(Y, start, stop, first, columns):
    for j in range(start, stop):
        for f in range(smaller(columns.shape[0], Y.shape[1] - first)):
            columns[f, j - start] = Y[j, first + f]


@part()
def _reciprocals(values):
    wide_vectors()
    one = np.float32(1.0)
    for row in range(values.shape[0]):
        for j in range(values.shape[1]):
            values[row, j] = one / larger(values[row, j] * SCALE, LEAST)


def intersection(X, Y, skipped, sums):
    """Sum the minimum of each pair of entries.

    IN X (n, d) and Y (m, d) float32, not negative; skipped (number of rows at the start of Y that are not used);
    OUT sums (n, m) float32.
    """
    sums[:, skipped:] = 0
    add_intersection(X, Y, skipped, *_room(len(X)), sums)


def _room(n):
    """Return work space for the loops: indices of positive entries, their number, the entries, and columns."""
    places, counts = np.empty((n, FEATURES), np.int64), np.empty(n, np.int64)
    return places, counts, np.zeros((n, FEATURES), np.float32), np.zeros((FEATURES, LANES), np.float32)


@njit(**LOOP)
def add_intersection(X, Y, skipped, places, counts, entries, columns, sums):
    """Like `intersection`, but add the results to `sums`."""
    wide_vectors()
    n, m, d = X.shape[0], Y.shape[0], Y.shape[1]
    for first in range(0, d, FEATURES):
        _above_zero(X, first, places, entries, counts)
        for start in range(skipped, m, LANES):
            stop = smaller(start + LANES, m)
            _columns(Y, start, stop, first, columns)
            for i in range(n):
                row, x, p = sums[i, start:stop], entries[i], places[i]
                # The loop below takes most of the time. It is not moved to a separate function, because that function would be
                # compiled twice.
                for f in range(0, counts[i], 8):
                    x0, x1, x2, x3, x4, x5, x6, x7 = x[f], x[f + 1], x[f + 2], x[f + 3], x[f + 4], x[f + 5], x[f + 6], x[f + 7]
                    y0, y1, y2, y3 = columns[p[f]], columns[p[f + 1]], columns[p[f + 2]], columns[p[f + 3]]
                    y4, y5, y6, y7 = columns[p[f + 4]], columns[p[f + 5]], columns[p[f + 6]], columns[p[f + 7]]
                    for j in range(len(row)):
                        low = (smaller(x0, y0[j]) + smaller(x1, y1[j])) + (smaller(x2, y2[j]) + smaller(x3, y3[j]))
                        high = (smaller(x4, y4[j]) + smaller(x5, y5[j])) + (smaller(x6, y6[j]) + smaller(x7, y7[j]))
                        row[j] += low + high


@part()
def _add_harmonic(u, places, columns, sums):
    # Four terms per division: 1/a + 1/b + 1/c + 1/d = ((a + b)cd + (c + d)ab)/(ab·cd).
    wide_vectors()
    for f in range(0, len(u), 8):
        u0, u1, u2, u3, u4, u5, u6, u7 = u[f], u[f + 1], u[f + 2], u[f + 3], u[f + 4], u[f + 5], u[f + 6], u[f + 7]
        v0, v1, v2, v3 = columns[places[f]], columns[places[f + 1]], columns[places[f + 2]], columns[places[f + 3]]
        v4, v5, v6, v7 = columns[places[f + 4]], columns[places[f + 5]], columns[places[f + 6]], columns[places[f + 7]]
        for j in range(len(sums)):
            a0, a1, a2, a3 = u0 + v0[j], u1 + v1[j], u2 + v2[j], u3 + v3[j]
            a4, a5, a6, a7 = u4 + v4[j], u5 + v5[j], u6 + v6[j], u7 + v7[j]
            p0, p1, p2, p3 = a0 * a1, a2 * a3, a4 * a5, a6 * a7
            low = ((a0 + a1) * p1 + (a2 + a3) * p0) / (p0 * p1)
            high = ((a4 + a5) * p3 + (a6 + a7) * p2) / (p2 * p3)
            sums[j] += low + high


def chi2(X, Y, skipped, sums):
    """Sum (x - y)²/(x + y); the term is 0 if both entries are zero.

    The term equals x + y - 4/(1/x + 1/y), which needs an addition and a quarter of a division, or only the addition if x is
    zero.

    IN X (n, d) and Y (m, d) float32 in [0, 1]; skipped (number of rows at the start of Y that are not used);
    OUT sums (n, m) float32.
    """
    sums[:, skipped:] = 0
    add_chi2(X, Y, skipped, np.zeros(len(X)), np.zeros(len(Y)), *_room(len(X)), sums)


@njit(**LOOP)
def add_chi2(X, Y, skipped, x_mass, y_mass, places, counts, entries, columns, sums):
    """Like `chi2`. The sums and the work space (x_mass and y_mass) must be zero at the start."""
    wide_vectors()
    n, m, d = X.shape[0], Y.shape[0], Y.shape[1]
    for first in range(0, d, FEATURES):
        _above_zero(X, first, places, entries, counts)
        for i in range(n):
            for f in range(counts[i]):
                x_mass[i] += entries[i, f]
        _reciprocals(entries)
        for start in range(skipped, m, LANES):
            stop = smaller(start + LANES, m)
            _columns(Y, start, stop, first, columns)
            for f in range(smaller(FEATURES, d - first)):
                for j in range(stop - start):
                    y_mass[start + j] += columns[f, j]
            _reciprocals(columns)
            for i in range(n):
                _add_harmonic(entries[i, : counts[i]], places[i], columns, sums[i, start:stop])
    four = 4.0 / np.float64(SCALE)
    for i in range(n):
        for j in range(skipped, m):
            mass = x_mass[i] + y_mass[j]
            rest = mass - four * sums[i, j]
            sums[i, j] = np.float32(rest if rest > ROUNDING * mass else 0.0)
