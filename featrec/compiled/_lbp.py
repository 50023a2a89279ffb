"""Local binary patterns in whole numbers: the same codes on every machine."""

import numpy as np
from numba import njit

from featrec.compiled._options import LOOP
from featrec.compiled._parts import part

# Rows that are compared at once, end to end; longer runs leave less to do around a loop, and must stay in the nearest caches.
ROWS = 4


@part()
def _compare(band, stride, radius, offsets, weights, one, sums, scaled, patterns):
    """The patterns of a band of rows that lie end to end, from its first pixel with a circle to its last.

    Between two rows they are those of circles that leave the picture at one side and enter it at the other.
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
        # A circle's outermost point lies on a pixel, to which the weight of those beyond is zero: they may be the same pixel.
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
    """Compare points on a circle with its centre, from right over top to left: the p-th sets bit p where it is no darker.

    image     IN   (h, w) uint8 or uint16
    radius    IN   how far the circle reaches, in whole pixels
    offsets   IN   (n_points, 2) int64: row and column, from the centre, of the pixel above and left of the point
    weights   IN   (n_points, 4) int32: of that pixel, its right, its lower and its diagonal neighbour; they add up to `one`
    one       IN   int32; times the largest value of the picture it must stay under 2**31
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
    """How often each bin occurs in each cell of a grid.

    patterns                 IN   (h, w) uint8 or uint16
    bins                     IN   (n_patterns,) uint16: the bin of a pattern
    row_cells, column_cells  IN   (h,) and (w,) int64: the cell that a row and a column belong to
    counts                   OUT  (n_rows, n_columns, n_bins) int32
    """
    counts[:] = 0
    for y in range(patterns.shape[0]):
        cells = counts[row_cells[y]]
        for x in range(patterns.shape[1]):
            cells[column_cells[x], bins[patterns[y, x]]] += np.int32(1)
