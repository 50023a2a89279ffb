"""Sums over features of a function of two histograms, for all pairs of rows.

The rows of `columns` are features and its lanes the second histograms: a row's features are taken eight at a time, so that
the vector loop over the lanes loads and stores each sum once for eight terms.
"""

import numpy as np
from numba import njit

LANES = 256
FEATURES = 256


@njit(nogil=True, cache=True, error_model="numpy")
def _columns(Y, first, columns):
    features, lanes = columns.shape
    for j in range(lanes):
        for f in range(features):
            columns[f, j] = Y[j, first + f]


@njit(nogil=True, cache=True, error_model="numpy")
def _add_minima(x, columns, sums):
    features, lanes = columns.shape
    whole = features - features % 8
    for f in range(0, whole, 8):
        x0, x1, x2, x3 = x[f], x[f + 1], x[f + 2], x[f + 3]
        x4, x5, x6, x7 = x[f + 4], x[f + 5], x[f + 6], x[f + 7]
        if x0 + x1 + x2 + x3 + x4 + x5 + x6 + x7 == np.float32(0.0):
            continue
        block = columns[f : f + 8]
        for j in range(lanes):
            low = (min(x0, block[0, j]) + min(x1, block[1, j])) + (min(x2, block[2, j]) + min(x3, block[3, j]))
            high = (min(x4, block[4, j]) + min(x5, block[5, j])) + (min(x6, block[6, j]) + min(x7, block[7, j]))
            sums[j] += low + high
    for f in range(whole, features):
        for j in range(lanes):
            sums[j] += min(x[f], columns[f, j])


@njit(nogil=True, cache=True, error_model="numpy")
def intersection(X, Y, skipped, sums):
    """The sum of the smaller of each two entries.

    IN X (n, d), Y (m, d) float32, not negative, skipped how many of Y to leave out; OUT sums (n, m) float32.
    """
    m, d = Y.shape
    buffer = np.empty(min(LANES, m) * min(FEATURES, d), np.float32)
    sums[:, skipped:] = np.float32(0.0)
    for start in range(skipped, m, LANES):
        stop = min(start + LANES, m)
        for first in range(0, d, FEATURES):
            last = min(first + FEATURES, d)
            columns = buffer[: (last - first) * (stop - start)].reshape(last - first, stop - start)
            _columns(Y[start:stop], first, columns)
            for i in range(X.shape[0]):
                _add_minima(X[i, first:last], columns, sums[i, start:stop])


@njit(nogil=True, cache=True, error_model="numpy")
def _add_chi2(x, columns, sums):
    features, lanes = columns.shape
    # Half of the terms' divisions: a/b + c/d = (ad + cb)/(bd). Two empty entries are 0/least², not 0/0.
    least = np.float32(1e-16)
    whole = features - features % 4
    for f in range(0, whole, 4):
        x0, x1, x2, x3 = x[f], x[f + 1], x[f + 2], x[f + 3]
        block = columns[f : f + 4]
        if x0 + x1 + x2 + x3 == np.float32(0.0):
            for j in range(lanes):
                sums[j] += (block[0, j] + block[1, j]) + (block[2, j] + block[3, j])
            continue
        for j in range(lanes):
            y0, y1, y2, y3 = block[0, j], block[1, j], block[2, j], block[3, j]
            s0, s1, s2, s3 = max(x0 + y0, least), max(x1 + y1, least), max(x2 + y2, least), max(x3 + y3, least)
            d0, d1, d2, d3 = x0 - y0, x1 - y1, x2 - y2, x3 - y3
            low = (d0 * d0 * s1 + d1 * d1 * s0) / (s0 * s1)
            high = (d2 * d2 * s3 + d3 * d3 * s2) / (s2 * s3)
            sums[j] += low + high
    for f in range(whole, features):
        for j in range(lanes):
            difference = x[f] - columns[f, j]
            sums[j] += difference * difference / max(x[f] + columns[f, j], least)


@njit(nogil=True, cache=True, error_model="numpy")
def chi2(X, Y, skipped, sums):
    """The sum of (x - y)²/(x + y), none where both are zero.

    IN X (n, d), Y (m, d) float32 in [0, 1], skipped how many of Y to leave out; OUT sums (n, m) float32.
    """
    m, d = Y.shape
    buffer = np.empty(min(LANES, m) * min(FEATURES, d), np.float32)
    sums[:, skipped:] = np.float32(0.0)
    for start in range(skipped, m, LANES):
        stop = min(start + LANES, m)
        for first in range(0, d, FEATURES):
            last = min(first + FEATURES, d)
            columns = buffer[: (last - first) * (stop - start)].reshape(last - first, stop - start)
            _columns(Y[start:stop], first, columns)
            for i in range(X.shape[0]):
                _add_chi2(X[i, first:last], columns, sums[i, start:stop])
