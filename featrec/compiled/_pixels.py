"""Loops over pixels: sheared images, patches, and local binary patterns. Results are the same on all machines."""

import math

import numpy as np
from numba import njit

from featrec.compiled._parts import LOOP, part, small_code


@njit(**LOOP)
def shear(image, skew, across, down, outside, sheared):
    """Shear an image: each pixel gets the value that is `down` pixels below and `across` + `skew` * row pixels to the right.

    image    IN   (h, w, n_channels) float64
    outside  IN   float64: the value around the image
    sheared  OUT  (h, w, n_channels) float64
    """
    small_code()
    height, width, n_channels = image.shape
    top = math.floor(down)
    under = down - top
    for y in range(height):
        start = math.floor(across + skew * y)
        beside = across + skew * y - start
        for x in range(width):
            left = x + start
            for c in range(n_channels):
                value = 0.0
                for row, share in ((y + top, 1 - under), (y + top + 1, under)):
                    if share > 0:
                        known = 0 <= row < height
                        first = image[row, left, c] if known and 0 <= left < width else outside
                        second = image[row, left + 1, c] if known and 0 <= left + 1 < width else outside
                        value += share * (first + beside * (second - first))
                sheared[y, x, c] = value


@part()
def _column_sums(image, y, size, stride, sums, squares):
    """From the sums of the previous row, compute the sums of values and squared values over `size` rows, starting at y."""
    start = y
    if y == 0 or stride >= size:
        sums[:] = 0
        squares[:] = 0
    else:
        start = y - stride + size
        for row in range(y - stride, y):
            for x in range(image.shape[1]):
                value = np.int64(image[row, x])
                sums[x] -= value
                squares[x] -= value * value
    for row in range(start, y + size):
        for x in range(image.shape[1]):
            value = np.int64(image[row, x])
            sums[x] += value
            squares[x] += value * value


@part()
def _row_contrasts(sums, squares, size, length, step, unit, contrast, means, factors):
    """For each patch of a row, compute its mean, and the factor that scales its values after the mean is subtracted."""
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
def cut_patches(images, size, channels, stride, unit, contrast, descriptors):
    """Write all patches of images, row by row, after subtracting the mean and dividing by the contrast; integer sums are exact.

    images       IN   (n_images, h, w * channels) uint8 or uint16
    unit         IN   float64: factor that converts pixel values to the scale of the results
    contrast     IN   float64: added to variances, on the scale of results; if negative, patches are only multiplied by `unit`
    descriptors  OUT  (n_images * n_rows * n_columns, size * size * channels) float32
    """
    height, width = images.shape[1], images.shape[2]
    length, step = size * channels, stride * channels
    n_columns = (width - length) // step + 1
    values = np.empty((height, width), np.float32)
    sums, squares = np.empty(width, np.int64), np.empty(width, np.int64)
    means, factors = np.empty(n_columns, np.float32), np.empty(n_columns, np.float32)
    means[:] = np.float32(0.0)
    factors[:] = np.float32(unit)
    n = 0
    for image in images:
        for y in range(height):
            for x in range(width):
                values[y, x] = image[y, x]
        for y in range(0, height - size + 1, stride):
            if contrast >= 0:
                _column_sums(image, y, size, stride, sums, squares)
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


# Number of rows per band. Larger bands reduce the overhead of loops, but must fit into the first-level cache.
ROWS = 4


@part()
def _compare(band, stride, radius, offsets, weights, one, sums, scaled, patterns):
    """Compute the patterns of a band of rows, from the first pixel whose circle is inside the image to the last.

    Rows are stored one after another. Circles at the ends of rows therefore contain pixels of the next row; the caller skips
    their patterns.
    """
    first, n = radius * stride + radius, patterns.shape[0]
    centre = band[first : first + n]
    for i in range(n):
        scaled[i] = one * centre[i]
        patterns[i] = 0
    for p in range(offsets.shape[0]):
        place = first + offsets[p, 0] * stride + offsets[p, 1]
        bit = np.int32(1 << p)
        w00, w01, w10, w11 = weights[p, 0], weights[p, 1], weights[p, 2], weights[p, 3]
        above = band[place : place + n]
        if w00 == one:
            for i in range(n):
                patterns[i] |= bit if above[i] >= centre[i] else np.int32(0)
            continue
        # Neighbours with weight 0 may be outside the image, so the pixel itself is read instead.
        right = 1 if w01 + w11 > 0 else 0
        under = place + (stride if w10 + w11 > 0 else 0)
        above_right = band[place + right : place + right + n]
        below = band[under : under + n]
        below_right = band[under + right : under + right + n]
        for i in range(n):
            sums[i] = w00 * above[i] + w01 * above_right[i] + w10 * below[i] + w11 * below_right[i]
        for i in range(n):
            patterns[i] |= bit if sums[i] >= scaled[i] else np.int32(0)


@njit(**LOOP)
def lbp_patterns(image, radius, offsets, weights, one, patterns):
    """Compare points on a circle with its centre, anticlockwise from the right. Bit p is set unless point p is darker.

    image     IN   (h, w) uint8 or uint16
    radius    IN   extent of the circle in whole pixels
    offsets   IN   (n_points, 2) int64: row and column, from the centre, of the pixel above and left of the point
    weights   IN   (n_points, 4) int32: of this pixel and its right, lower and diagonal neighbours; their sum is `one`
    one       IN   int32; its product with the largest value of the image must be below 2**31
    patterns  OUT  (h - 2 * radius, w - 2 * radius) uint8 or uint16
    """
    height, width = image.shape
    rows_at_once = max(ROWS, radius)
    band = np.empty((rows_at_once + 2 * radius) * width, np.int32)
    n = rows_at_once * width - 2 * radius
    sums, scaled, found = np.empty(n, np.int32), np.empty(n, np.int32), np.empty(n, np.int32)
    for start in range(0, height - 2 * radius, rows_at_once):
        n_rows = min(rows_at_once, height - 2 * radius - start)
        for y in range(n_rows + 2 * radius):
            row = band[y * width : (y + 1) * width]
            for x in range(width):
                row[x] = image[start + y, x]
        n = n_rows * width - 2 * radius
        _compare(band, width, radius, offsets, weights, one, sums, scaled, found[:n])
        for y in range(n_rows):
            row = found[y * width : y * width + patterns.shape[1]]
            for x in range(patterns.shape[1]):
                patterns[start + y, x] = row[x]


@njit(**LOOP)
def count_patterns(patterns, bins, row_cells, column_cells, counts):
    """Count the pixels of each bin in each cell of a grid.

    patterns                 IN   (h, w) uint8 or uint16
    bins                     IN   (n_patterns,) uint16: the bin of each pattern
    row_cells, column_cells  IN   (h,) and (w,) int64: the cell of each row and column
    counts                   OUT  (n_rows, n_columns, n_bins) int32
    """
    counts[:] = 0
    for y in range(patterns.shape[0]):
        cells = counts[row_cells[y]]
        for x in range(patterns.shape[1]):
            cells[column_cells[x], bins[patterns[y, x]]] += np.int32(1)
