"""SIFT descriptors on a lattice of points, by Vedaldi's approximation, for all sizes and channels of a picture in one call.

A picture goes through in rows: smoothed, turned into planes of gradients (a ring of as many rows as a bin reaches over), summed
under the bins' filters where the lattice wants a bin, and only then stored, orientations fastest. A bin that several
descriptors share is summed once, and the bins that a descriptor takes from a row lie side by side. Two opposite orientations
share a plane, one of them below zero: half as much goes through the second cache, which is what this waits for.

Three habits here are for the compiler. Offsets are unsigned, since a signed one may count from the end and costs a test that
stops vectorisation. Loops of eight are written as loops of 32, since short ones are unrolled into single numbers. Sums that may
be reordered stand apart from quotients, since a quotient would be drawn into the loop behind it.
"""

from math import sqrt

import numpy as np
from numba import njit

from featrec.compiled._cut_and_scale import cut_and_scale
from featrec.compiled._wide import wide_vectors

U = np.uint64
ZERO, HALF, ONE = np.float32(0), np.float32(0.5), np.float32(1)
TINY, CUT = np.float32(1e-30), np.float32(0.2)
# With q = r * r on [0, 1]: sqrt(1 + q), and sqrt(1 + q) * atan(r) / r * 4 / pi, both to 3e-6; interpolated in Chebyshev points.
M0, M1, M2 = np.float32(1.00000164), np.float32(0.49988075), np.float32(-0.12353492)
M3, M4, M5 = np.float32(0.05554068), np.float32(-0.02255685), np.float32(0.00488321)
D0, D1, D2 = np.float32(1.27324216), np.float32(0.21201649), np.float32(-0.11436756)
D3, D4, D5 = np.float32(0.06681574), np.float32(-0.03043956), np.float32(0.00694775)


@njit(nogil=True, cache=True, error_model="numpy")
def dense_sift(channels, step, bin_sizes, firsts, radii, smoothers, filters, weights, shares, thresholds, storage, descriptors):
    """Describe the squares of 4 × 4 bins whose first bin is centred on first + step * i in both directions, size by size.

    channels          IN   (n_channels, h, w) float32
    step              IN   pixels
    bin_sizes, firsts IN   (n_sizes,): in pixels; where the first bin of the first descriptor is centred, in x and in y
    radii, smoothers  IN   (n_sizes,) and (n_sizes, at least 2 * radius + 1, a multiple of 4): by which a channel is smoothed
    filters           IN   (n_sizes, 1 or 4, at least 2 * bin_size - 1, a multiple of 4) float32: of all bins of a row or
                           column, or of each of the four; what is over is zero
    weights           IN   (n_sizes, 4) float32: of the bins of a row or column
    shares            IN   (n_channels,) float32: of the channels' sums in what is compared with a threshold
    thresholds        IN   (n_sizes,) float32: descriptors of a smaller sum are zero
    storage           IN   (3,) float32: the length of a descriptor, the largest number, and what is added at last
    descriptors       OUT  (n, n_channels * 128): for each channel 4 bins in y, 4 in x, 8 orientations
    """
    n_channels, height, width = channels.shape
    smooth = np.empty((height, width), np.float32)
    start = 0
    for s in range(len(bin_sizes)):
        bin_size, first = bin_sizes[s], firsts[s]
        n_filters = filters.shape[1]
        n_rows = (height - 1 - first - 3 * bin_size) // step + 1
        n_columns = (width - 1 - first - 3 * bin_size) // step + 1
        marks, row_places, n_cell_rows = _row_lattice(n_rows, step, bin_size, first, height, n_filters)
        if n_filters == 1:
            places, pixels = _shared_columns(n_columns, step, bin_size, first, width)
        else:
            places, pixels = _own_columns(n_columns, step, bin_size, first)
        cells = np.empty((n_channels, n_cell_rows, 8 * len(pixels)), np.float32)
        for c in range(n_channels):
            if radii[s] > 0:
                _smooth(channels[c], radii[s], smoothers[s], smooth)
                _fill_cells(smooth, bin_size, filters[s], marks, pixels, cells[c])
            else:
                _fill_cells(channels[c], bin_size, filters[s], marks, pixels, cells[c])
        end = start + n_rows * n_columns
        _describe(cells, row_places, places, weights[s], shares, thresholds[s], storage, descriptors[start:end])
        start = end


@njit(nogil=True, cache=True, error_model="numpy")
def _row_lattice(n, step, bin_size, first, height, n_filters):
    """For each row of pixels and filter the row of cells that is centred there or -1; for each descriptor its four."""
    marks = np.full((height, n_filters), -1, np.int64)
    for i in range(n):
        for b in range(4):
            marks[first + step * i + bin_size * b, b % n_filters] = 0
    count = 0
    for y in range(height):
        for f in range(n_filters):
            if marks[y, f] == 0:
                marks[y, f] = count
                count += 1
    places = np.empty((n, 4), np.int64)
    for i in range(n):
        for b in range(4):
            places[i, b] = marks[first + step * i + bin_size * b, b % n_filters]
    return marks, places, count


@njit(nogil=True, cache=True, error_model="numpy")
def _shared_columns(n, step, bin_size, first, width):
    """Where a descriptor's four columns of cells start, and each one's pixel: those of one rest by bin_size lie together."""
    marks = np.full(width, -1, np.int64)
    for j in range(n):
        for b in range(4):
            marks[first + step * j + bin_size * b] = 0
    pixels = np.empty(width, np.int64)
    count = 0
    for rest in range(min(bin_size, width)):
        for x in range(rest, width, bin_size):
            if marks[x] == 0:
                marks[x] = count
                pixels[count] = x
                count += 1
    places = np.empty(n, np.int64)
    for j in range(n):
        places[j] = marks[first + step * j]
    return places, pixels[:count]


@njit(nogil=True, cache=True, error_model="numpy")
def _own_columns(n, step, bin_size, first):
    """The same where each of the four has a filter of its own, so that no two descriptors share one."""
    places, pixels = np.empty(n, np.int64), np.empty(4 * n, np.int64)
    for j in range(n):
        places[j] = 4 * j
        for b in range(4):
            pixels[4 * j + b] = first + step * j + bin_size * b
    return places, pixels


@njit(nogil=True, cache=True, error_model="numpy", fastmath={"contract", "reassoc"})
def _smooth(image, radius, smoother, smooth):
    """Filter along y and x; edges are repeated. Four rows at a time, since a sum in memory costs more than a product."""
    wide_vectors()
    height, width = image.shape
    taps = (2 * radius + 4) // 4 * 4
    line = np.zeros(width + taps, np.float32)
    last, n, r = height - 1, U(width), U(radius)
    for y in range(height):
        for u in range(0, taps, 4):
            wa, wb, wc, wd = smoother[u], smoother[u + 1], smoother[u + 2], smoother[u + 3]
            v = y + u - radius
            a, b = U(min(max(v, 0), last)), U(min(max(v + 1, 0), last))
            c, d = U(min(max(v + 2, 0), last)), U(min(max(v + 3, 0), last))
            if u == 0:
                for x in range(n):
                    line[r + x] = wa * image[a, x] + wb * image[b, x] + wc * image[c, x] + wd * image[d, x]
            else:
                for x in range(n):
                    line[r + x] += wa * image[a, x] + wb * image[b, x] + wc * image[c, x] + wd * image[d, x]
        for x in range(radius):
            line[x] = line[radius]
            line[radius + width + x] = line[radius + width - 1]
        row = U(y)
        for u in range(0, taps, 4):
            wa, wb, wc, wd = smoother[u], smoother[u + 1], smoother[u + 2], smoother[u + 3]
            a, b, c, d = U(u), U(u + 1), U(u + 2), U(u + 3)
            if u == 0:
                for x in range(n):
                    smooth[row, x] = wa * line[a + x] + wb * line[b + x] + wc * line[c + x] + wd * line[d + x]
            else:
                for x in range(n):
                    smooth[row, x] += wa * line[a + x] + wb * line[b + x] + wc * line[c + x] + wd * line[d + x]


@njit(nogil=True, cache=True, error_model="numpy")
def _fill_cells(image, bin_size, filters, marks, pixels, cells):
    """Sum the gradients around each cell under a filter of half-width bin_size; edges are repeated."""
    height, width = image.shape
    n_filters = len(filters)
    taps, ring, pad = (2 * bin_size + 2) // 4 * 4, 2 * bin_size - 1, bin_size - 1
    stride = width + 2 * pad
    planes = np.empty((ring, 4 * stride), np.float32)
    lines = np.empty((4, width), np.float32)
    line = np.zeros(8 * stride + taps, np.float32)
    total = np.empty(8 * stride, np.float32)
    known, s = 0, U(stride)
    for y in range(height):
        for f in range(n_filters):
            if marks[y, f] < 0:
                continue
            end = min(y + bin_size, height)
            for v in range(max(known, y - pad), end):
                _fill_planes(image, v, pad, lines, planes[v % ring])
            known = end
            _sum_rows(planes, y, bin_size, end - 1, filters[f], taps, line)
            i = U(marks[y, f])
            for g in range(n_filters):
                _sum_columns(line, filters[g], taps, total)
                _take_cells(total, s, pixels, g, n_filters, cells, i)


@njit(nogil=True, cache=True, error_model="numpy")
def _take_cells(total, stride, pixels, first, every, cells, row):
    """The cells of a row, from the sums around each of its pixels: what lies above zero, and the rest."""
    one, two, three, four = stride, U(2) * stride, U(3) * stride, U(4) * stride
    for i in range(four):
        total[four + i] = max(total[i] - total[four + i], ZERO)
    for place in range(first, len(pixels), every):
        k, x = U(8 * place), U(pixels[place])
        y = x + four
        a, b, c, d = total[x], total[x + one], total[x + two], total[x + three]
        e, f, g, h = total[y], total[y + one], total[y + two], total[y + three]
        cells[row, k], cells[row, k + U(1)], cells[row, k + U(2)], cells[row, k + U(3)] = a, b, c, d
        cells[row, k + U(4)], cells[row, k + U(5)], cells[row, k + U(6)], cells[row, k + U(7)] = e, f, g, h


@njit(nogil=True, cache=True, error_model="numpy", fastmath={"contract"})
def _fill_planes(image, y, pad, lines, planes):
    """Share the magnitudes of a row's gradients between the two orientations nearest to each one's angle.

    The nearest axis and the nearest diagonal are those two: which ones, comparisons tell. The planes are right and left, down
    right and up left, down and up, down left and up right. A loop over more arrays would not be vectorised.
    """
    wide_vectors()
    height, width = image.shape
    above, row, below = U(max(y - 1, 0)), U(y), U(min(y + 1, height - 1))
    scale = HALF if below - above == U(2) else ONE
    gx, gy, axis, diagonal = U(0), U(1), U(2), U(3)
    n, s = U(width), U(width + 2 * pad)
    a, b, c, d = U(pad), U(pad) + s, U(pad) + U(2) * s, U(pad) + U(3) * s
    for x in range(U(1), U(max(width - 1, 1))):
        lines[gx, x] = HALF * (image[row, x + U(1)] - image[row, x - U(1)])
    lines[0, 0] = image[y, min(1, width - 1)] - image[y, 0]
    lines[0, width - 1] = image[y, width - 1] - image[y, max(width - 2, 0)]
    for x in range(n):
        lines[gy, x] = scale * (image[below, x] - image[above, x])
    for x in range(n):
        ax, ay = abs(lines[gx, x]), abs(lines[gy, x])
        larger, smaller = max(ax, ay), min(ax, ay)
        r = smaller / max(larger, TINY)
        q = r * r
        magnitude = M0 + q * (M1 + q * (M2 + q * (M3 + q * (M4 + q * M5))))
        share = r * (D0 + q * (D1 + q * (D2 + q * (D3 + q * (D4 + q * D5)))))
        lines[diagonal, x] = larger * share
        lines[axis, x] = larger * max(magnitude - share, ZERO)
    for x in range(n):
        dx, dy, share = lines[gx, x], lines[gy, x], lines[axis, x]
        along_x, along_y = share if dx >= ZERO else -share, share if dy >= ZERO else -share
        planes[a + x] = along_x if abs(dx) >= abs(dy) else ZERO
        planes[c + x] = along_y if abs(dx) < abs(dy) else ZERO
    for x in range(n):
        dx, dy, share = lines[gx, x], lines[gy, x], lines[diagonal, x]
        along_x, along_y = share if dx >= ZERO else -share, share if dy >= ZERO else -share
        planes[b + x] = along_x if (dx >= ZERO) == (dy >= ZERO) else ZERO
        planes[d + x] = along_y if (dx >= ZERO) != (dy >= ZERO) else ZERO
    for t in range(4):
        start = t * (width + 2 * pad)
        end = start + pad + width
        for x in range(pad):
            planes[start + x] = planes[start + pad]
            planes[end + x] = planes[end - 1]


@njit(nogil=True, cache=True, error_model="numpy", fastmath={"contract", "reassoc"})
def _sum_rows(planes, y, bin_size, last, filter, taps, line):
    """The rows around y under a filter: first what lies above zero, then everything; their difference is the rest."""
    wide_vectors()
    ring, length = planes.shape
    n = U(length)
    for u in range(0, taps, 4):
        wa, wb, wc, wd = filter[u], filter[u + 1], filter[u + 2], filter[u + 3]
        v = y + u - bin_size + 1
        a, b = U(min(max(v, 0), last) % ring), U(min(max(v + 1, 0), last) % ring)
        c, d = U(min(max(v + 2, 0), last) % ring), U(min(max(v + 3, 0), last) % ring)
        if u == 0:
            for k in range(n):
                pa, pb = max(planes[a, k], ZERO), max(planes[b, k], ZERO)
                pc, pd = max(planes[c, k], ZERO), max(planes[d, k], ZERO)
                line[k] = wa * pa + wb * pb + wc * pc + wd * pd
            for k in range(n):
                line[n + k] = wa * planes[a, k] + wb * planes[b, k] + wc * planes[c, k] + wd * planes[d, k]
        else:
            for k in range(n):
                pa, pb = max(planes[a, k], ZERO), max(planes[b, k], ZERO)
                pc, pd = max(planes[c, k], ZERO), max(planes[d, k], ZERO)
                line[k] += wa * pa + wb * pb + wc * pc + wd * pd
            for k in range(n):
                line[n + k] += wa * planes[a, k] + wb * planes[b, k] + wc * planes[c, k] + wd * planes[d, k]


@njit(nogil=True, cache=True, error_model="numpy", fastmath={"contract", "reassoc"})
def _sum_columns(line, filter, taps, total):
    """Around each pixel of a row; what reaches from one plane into the next is never read."""
    wide_vectors()
    n = U(len(total))
    for u in range(0, taps, 4):
        wa, wb, wc, wd = filter[u], filter[u + 1], filter[u + 2], filter[u + 3]
        a, b, c, d = U(u), U(u + 1), U(u + 2), U(u + 3)
        if u == 0:
            for k in range(n):
                total[k] = wa * line[a + k] + wb * line[b + k] + wc * line[c + k] + wd * line[d + k]
        else:
            for k in range(n):
                total[k] += wa * line[a + k] + wb * line[b + k] + wc * line[c + k] + wd * line[d + k]


@njit(nogil=True, cache=True, error_model="numpy")
def _describe(cells, row_places, places, weights, shares, threshold, storage, descriptors):
    """Weigh each descriptor's cells, scale to length 1, cut at 0.2, scale again; zero where the sum is under the threshold."""
    wide_vectors()
    n_channels, n_rows, n = len(cells), len(row_places), len(places)
    unit, most, half = storage[0], storage[1], storage[2]
    squares, sums = _cell_sums(cells)
    cuts, contrasts = np.empty((n_channels, n), np.float32), np.empty(n, np.float32)
    bin_weights = np.empty((4, 32), np.float32)
    for by in range(4):
        for k in range(32):
            bin_weights[by, k] = weights[by] * weights[k // 8]
    out = descriptors.reshape(n_rows * n * n_channels * 128)
    for i in range(n_rows):
        contrasts[:] = 0
        for c in range(n_channels):
            _descriptor_sums(squares[c], sums[c], row_places[i], places, weights, shares[c], cuts[c], contrasts)
        ra, rb, rc, rd = row_places[i, 0], row_places[i, 1], row_places[i, 2], row_places[i, 3]
        for c in range(n_channels):
            for j in range(n):
                start = ((i * n + j) * n_channels + c) * 128
                if contrasts[j] >= threshold:
                    bins = (ra, rb, rc, rd, 8 * places[j])
                    cut_and_scale(cells[c], bins, bin_weights, cuts[c, j], unit, most, half, out, start)
                else:
                    out[start : start + 128] = 0


@njit(nogil=True, cache=True, error_model="numpy", fastmath={"contract", "reassoc"})
def _cell_sums(cells):
    """Of each cell's numbers and of their squares; those of descriptors are made of them."""
    n_channels, n_rows, n = len(cells), cells.shape[1], cells.shape[2] // 8
    squares, sums = np.empty((n_channels, n_rows, n), np.float32), np.empty((n_channels, n_rows, n), np.float32)
    for c in range(n_channels):
        for i in range(n_rows):
            for j in range(n):
                square, total = ZERO, ZERO
                for k in range(8 * j, 8 * j + 8):
                    value = cells[c, i, k]
                    square += value * value
                    total += value
                squares[c, i, j], sums[c, i, j] = square, total
    return squares, sums


@njit(nogil=True, cache=True, error_model="numpy", fastmath={"contract", "reassoc"})
def _descriptor_sums(squares, sums, rows, places, weights, share, cuts, contrasts):
    """Where a row's descriptors are cut, and their contrasts, from those of the cells."""
    n = squares.shape[1]
    square, total = np.empty(n, np.float32), np.empty(n, np.float32)
    wa, wb, wc, wd = weights[0], weights[1], weights[2], weights[3]
    ra, rb, rc, rd = U(rows[0]), U(rows[1]), U(rows[2]), U(rows[3])
    va, vb, vc, vd = wa * wa, wb * wb, wc * wc, wd * wd
    for x in range(U(n)):
        square[x] = va * squares[ra, x] + vb * squares[rb, x] + vc * squares[rc, x] + vd * squares[rd, x]
    for x in range(U(n)):
        total[x] = wa * sums[ra, x] + wb * sums[rb, x] + wc * sums[rc, x] + wd * sums[rd, x]
    for j in range(len(places)):
        a = places[j]
        b, c, d = a + 1, a + 2, a + 3
        cuts[j] = CUT * np.float32(sqrt(va * square[a] + vb * square[b] + vc * square[c] + vd * square[d]))
        contrasts[j] += share * (wa * total[a] + wb * total[b] + wc * total[c] + wd * total[d])
