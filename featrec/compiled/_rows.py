"""Loops over the rows of a matrix, for RootSIFT, Whiten and WideScaler."""

import numpy as np
from numba import njit, types

from featrec.compiled._parts import LOOP, part


# Allow sums to be reordered, because vector instructions require this.
@part(returns=types.Tuple((types.float32, types.int64)), fastmath={"reassoc", "contract", "nsz"})
def _total_and_negative(row):
    total = np.float32(0.0)
    negative = np.int32(0)
    for f in range(row.shape[0]):
        value = np.float32(row[f])
        total += value
        negative += np.int32(value < np.float32(0.0))
    return total, negative


@njit(**LOOP)
def root_shares(rows, roots):
    """Write sqrt(value / sum of its row); rows of zeros stay zero. Return the number of negative values.

    IN rows (n, d) float32 or uint8; OUT roots (n, d) float32, with NaN if the value or the sum of its row is negative.
    """
    negative = 0
    for i in range(rows.shape[0]):
        total, below = _total_and_negative(rows[i])
        negative += below
        if total == np.float32(0.0):
            total = np.float32(1.0)
        for f in range(rows.shape[1]):
            roots[i, f] = np.sqrt(np.float32(rows[i, f]) / total)
    return negative


@njit(**LOOP)
def project(descriptors, mean, projection, n_rows, projected):
    """Subtract the mean and multiply by the projection, `n_rows` rows at a time; these rows stay in the first-level cache.

    descriptors  IN   (n, d) float32 or uint8
    mean         IN   (d,) float32
    projection   IN   (d, k) float32
    projected    OUT  (n, k) float32
    """
    centred = np.empty((n_rows, mean.shape[0]), np.float32)
    for start in range(0, descriptors.shape[0], n_rows):
        stop = min(start + n_rows, descriptors.shape[0])
        for i in range(start, stop):
            for j in range(mean.shape[0]):
                centred[i - start, j] = np.float32(descriptors[i, j]) - mean[j]
        np.dot(centred[: stop - start], projection, projected[start:stop])


@part(returns=types.float32)
def _powered(value, exponent):
    size = np.abs(value)
    if exponent == np.float32(0.5):
        size = np.sqrt(size)
    elif exponent != np.float32(1.0):
        size = np.float32(size**exponent)
    return size if value >= np.float32(0.0) else -size


@part()
def _power_row(row, exponent, powered):
    if exponent == np.float32(0.5):
        for j in range(len(row)):
            powered[j] = _powered(row[j], np.float32(0.5))
    elif exponent == np.float32(1.0):
        # Avoid `powered[:] = row`: numba would also compile code that formats a shape-mismatch error.
        for j in range(len(row)):
            powered[j] = row[j]
    else:
        for j in range(len(row)):
            powered[j] = _powered(row[j], exponent)


@njit(**LOOP)
def column_sums(codes, first, exponent, origins, sums, squares):
    """Compute the sum and the sum of squares of each powered column, minus its origin; both are 0 for constant columns.

    IN codes (n, d) float32, used from column `first` on; exponent float32; origins (columns,) float64;
    OUT sums, squares (columns,) float64.
    """
    width = len(origins)
    powered = np.empty(width, np.float32)
    sums[:] = 0.0
    squares[:] = 0.0
    for i in range(codes.shape[0]):
        _power_row(codes[i, first : first + width], exponent, powered)
        for j in range(width):
            away = np.float64(powered[j]) - origins[j]
            sums[j] += away
            squares[j] += away * away


# Allow sums to be reordered, because vector instructions require this.
@part(returns=types.float64, fastmath={"reassoc", "contract", "nsz"})
def _length(row):
    total = 0.0
    for j in range(len(row)):
        total += np.float64(row[j]) * np.float64(row[j])
    return np.sqrt(total)


@njit(**LOOP)
def standardize(codes, exponent, means, factors, unit_length):
    """Apply the power, subtract the means and multiply by the factors; if unit_length, scale nonzero rows to length 1.

    IN and OUT codes (n, d) float32; IN exponent float32; means, factors (d,) float32; unit_length bool.
    """
    for i in range(codes.shape[0]):
        row = codes[i]
        if exponent == np.float32(0.5):
            for j in range(len(row)):
                row[j] = (_powered(row[j], np.float32(0.5)) - means[j]) * factors[j]
        elif exponent == np.float32(1.0):
            for j in range(len(row)):
                row[j] = (row[j] - means[j]) * factors[j]
        else:
            for j in range(len(row)):
                row[j] = (_powered(row[j], exponent) - means[j]) * factors[j]
        length = _length(row) if unit_length else 0.0
        if length > 0.0:
            shrink = np.float32(1.0 / length)
            for j in range(len(row)):
                row[j] *= shrink
