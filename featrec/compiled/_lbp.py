"""Local binary patterns in whole numbers: the same codes on every machine."""

import numpy as np
from numba import njit


@njit(nogil=True, cache=True, error_model="numpy")
def _pattern_row(image, y, radius, offsets, weights, one, sums, patterns):
    """The patterns of one row of the pixels whose circle lies in the picture."""
    width = patterns.shape[0]
    patterns[:] = 0
    centre = image[y, radius : radius + width]
    for p in range(offsets.shape[0]):
        dy, dx = offsets[p, 0], offsets[p, 1]
        bit = np.int32(1 << p)
        w00, w01, w10, w11 = weights[p, 0], weights[p, 1], weights[p, 2], weights[p, 3]
        left = radius + dx
        above = image[y + dy, left : left + width]
        if w00 == one:
            for x in range(width):
                patterns[x] |= bit if above[x] >= centre[x] else np.int32(0)
            continue
        # A circle's outermost point lies on a pixel, to which the weight of those beyond is zero: they may be the same pixel.
        right = left + (1 if w01 + w11 > 0 else 0)
        under = y + dy + (1 if w10 + w11 > 0 else 0)
        above_right = image[y + dy, right : right + width]
        below = image[under, left : left + width]
        below_right = image[under, right : right + width]
        for x in range(width):
            sums[x] = w00 * above[x] + w01 * above_right[x]
        for x in range(width):
            value = sums[x] + w10 * below[x] + w11 * below_right[x]
            patterns[x] |= bit if value >= one * centre[x] else np.int32(0)


@njit(nogil=True, cache=True, error_model="numpy")
def lbp_patterns(image, radius, offsets, weights, one, patterns):
    """Compare points on a circle with its centre, from right over top to left: the p-th sets bit p where it is no darker.

    image     IN   (h, w) int32
    radius    IN   how far the circle reaches, in whole pixels
    offsets   IN   (n_points, 2) int64: row and column, from the centre, of the pixel above and left of the point
    weights   IN   (n_points, 4) int32: of that pixel, its right, its lower and its diagonal neighbour; they add up to `one`
    one       IN   int32; times the largest value of the picture it must stay under 2**31
    patterns  OUT  (h - 2 * radius, w - 2 * radius) int32
    """
    sums = np.empty(patterns.shape[1], np.int32)
    for i in range(patterns.shape[0]):
        _pattern_row(image, i + radius, radius, offsets, weights, one, sums, patterns[i])


@njit(nogil=True, cache=True, error_model="numpy")
def count_patterns(patterns, bins, row_cells, column_cells, counts):
    """How often each bin occurs in each cell of a grid.

    patterns                 IN   (h, w) int32
    bins                     IN   (n_patterns,) uint16: the bin of a pattern
    row_cells, column_cells  IN   (h,) and (w,) int64: the cell that a row and a column belong to
    counts                   OUT  (n_rows, n_columns, n_bins) int32
    """
    counts[:] = 0
    for y in range(patterns.shape[0]):
        cells = counts[row_cells[y]]
        for x in range(patterns.shape[1]):
            cells[column_cells[x], bins[patterns[y, x]]] += np.int32(1)
