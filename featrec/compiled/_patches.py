"""All squares of a picture as rows of numbers, with their means and contrasts taken off."""

import numpy as np
from numba import njit

from featrec.compiled._options import LOOP
from featrec.compiled._parts import part


@part()
def _column_sums(picture, y, size, stride, sums, squares):
    """Sums of the values and of their squares over `size` rows from y, in place; those of the lattice's row above are known."""
    start = y
    if y == 0 or stride >= size:
        sums[:] = 0
        squares[:] = 0
    else:
        start = y - stride + size
        for row in range(y - stride, y):
            for x in range(picture.shape[1]):
                value = np.int64(picture[row, x])
                sums[x] -= value
                squares[x] -= value * value
    for row in range(start, y + size):
        for x in range(picture.shape[1]):
            value = np.int64(picture[row, x])
            sums[x] += value
            squares[x] += value * value


@part()
def _row_contrasts(sums, squares, size, length, step, unit, contrast, means, factors):
    """The mean of each square of a row, and what its values are multiplied by once the mean is off."""
    n = size * length
    total, total_of_squares = np.int64(0), np.int64(0)
    for x in range(length):
        total += sums[x]
        total_of_squares += squares[x]
    for i in range(means.shape[0]):
        if i > 0:
            for x in range(step):
                total += sums[(i - 1) * step + length + x] - sums[(i - 1) * step + x]
                total_of_squares += squares[(i - 1) * step + length + x] - squares[(i - 1) * step + x]
        means[i] = total / n
        spread = n * total_of_squares - total * total
        variance = unit * unit * spread / (np.float64(n) * max(n - 1, 1))
        factors[i] = unit / np.sqrt(variance + contrast) if spread > 0 else 0.0


@njit(**LOOP)
def cut_patches(pictures, size, channels, stride, unit, contrast, descriptors):
    """Each square of each picture, row by row, less its mean and divided by its contrast; sums are exact, in whole numbers.

    pictures     IN   (n_pictures, h, w * channels) uint8 or uint16
    unit         IN   float64: what 1 is on the scale of the results
    contrast     IN   float64: added to a variance, on that scale; below 0 nothing is taken off and only the scale is changed
    descriptors  OUT  (n_pictures * n_rows * n_columns, size * size * channels) float32
    """
    height, width = pictures.shape[1], pictures.shape[2]
    length, step = size * channels, stride * channels
    n_columns = (width - length) // step + 1
    values = np.empty((height, width), np.float32)
    sums, squares = np.empty(width, np.int64), np.empty(width, np.int64)
    means, factors = np.empty(n_columns, np.float32), np.empty(n_columns, np.float32)
    means[:] = np.float32(0.0)
    factors[:] = np.float32(unit)
    n = 0
    for picture in pictures:
        for y in range(height):
            for x in range(width):
                values[y, x] = picture[y, x]
        for y in range(0, height - size + 1, stride):
            if contrast >= 0:
                _column_sums(picture, y, size, stride, sums, squares)
                _row_contrasts(sums, squares, size, length, step, unit, contrast, means, factors)
            for i in range(n_columns):
                mean, factor = means[i], factors[i]
                descriptor = descriptors[n]
                for row in range(size):
                    part = values[y + row, i * step : i * step + length]
                    target = descriptor[row * length : (row + 1) * length]
                    for x in range(length):
                        target[x] = (part[x] - mean) * factor
                n += 1
