"""SIFT descriptors on grids of points, with Vedaldi's approximation, for all sizes and channels of an image in one call.

An image is smoothed and then processed row by row. The gradients of a row are written to planes, one for each pair of opposite
orientations; only the rows that a bin covers are stored at a time. The filter of each bin sums the planes; the sums are stored
with orientations varying fastest. A bin that several descriptors share is summed only once, and the bins of a row that belong
to one descriptor are adjacent. In a plane, gradients of the opposite orientation have negative values, which halves the traffic
to the second-level cache; this traffic limits the speed.

The grids are planned with NumPy, in `featrec.descriptors`. Each function here has only one caller, because it would be compiled
again for each additional caller.

The code follows three rules for the compiler. Offsets are unsigned, because negative offsets would count from the end, and the
check for them prevents vectorisation. Loops over eight values are written as loops over 32, because short loops are unrolled
into scalars. Divisions are in separate functions from sums that may be reordered, because a division would otherwise be moved
into the loop that follows it.
"""

from math import sqrt
from typing import Any

import numpy as np
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic

from featrec.compiled._parts import (
    COMPILED,
    LOOP,
    larger,
    least,
    part,
    small_code,
    smaller,
    spread,
    stay_apart,
    total,
    vector_at,
    wide_vectors,
)

U = np.uint64
ZERO, HALF, ONE = np.float32(0), np.float32(0.5), np.float32(1)
TINY, CUT = np.float32(1e-30), np.float32(0.2)
# Polynomials in q = r * r for r in [0, 1]: sqrt(1 + q), and sqrt(1 + q) * atan(r) / r * 4 / pi. Both interpolate at Chebyshev
# points, with errors below 3e-6.
M0, M1, M2 = np.float32(1.00000164), np.float32(0.49988075), np.float32(-0.12353492)
M3, M4, M5 = np.float32(0.05554068), np.float32(-0.02255685), np.float32(0.00488321)
D0, D1, D2 = np.float32(1.27324216), np.float32(0.21201649), np.float32(-0.11436756)
D3, D4, D5 = np.float32(0.06681574), np.float32(-0.03043956), np.float32(0.00694775)


def sift_room(lattices, radii, n_channels, height, width):
    """Return work space for the largest size of `dense_sift`: four 1-d and seven 2-d arrays, all float32."""
    bins, _, descriptors, rows, centres = (int(most) for most in lattices.max(axis=0))
    length, rows = 4 * (width + 2 * bins - 2), n_channels * rows
    # Zeros at the end of the filter multiply the padding of a line, so the padding must be finite.
    line = np.zeros(2 * length + 2 * bins + 2 * int(radii.max()) + 8, np.float32)
    smooth, total, planes = (np.empty(size, np.float32) for size in (height * width, 2 * length, (2 * bins - 1) * length))
    shapes = (
        (4, width),
        (rows, 8 * centres),
        (rows, centres),
        (rows, centres),
        (n_channels + 1, descriptors),
        (2, centres),
        (4, 32),
    )
    return (smooth, line, total, planes), tuple(np.empty(shape, np.float32) for shape in shapes)


@njit(**LOOP)
def dense_sift(
    channels,
    lattices,
    places,
    radii,
    smoothers,
    filters,
    weights,
    shares,
    thresholds,
    storage,
    steps,
    rows,
    lines,
    sheets,
    descriptors,
):
    """Describe squares of 4 × 4 bins on grids of points, size by size.

    channels           IN   (n_channels, h * w) float32
    lattices           IN   (n_sizes, 5) int64: bin size in pixels, rows and columns of descriptors, rows and columns of cells
    places             IN   four arrays int64 from `plan`: for each row of pixels and filter, the row of cells centred there, or
                            -1; for each row of descriptors, its four rows of cells; for each column of descriptors, the first
                            of its four columns of cells; for each column of cells, the pixel
    radii, smoothers   IN   (n_sizes,) and (n_sizes, at least 2 * radius + 1, a multiple of 4): filters that smooth a channel
    filters            IN   (n_sizes, 1 or 4, at least 2 * bin_size - 1, a multiple of 4) float32: one for all bins of a row or
                            column, or one for each of the four; padded with zeros
    weights            IN   (n_sizes, 4) float32: weights of the bins of a row or column
    shares             IN   (n_channels,) float32: weight of each channel's sum in the total that is compared with the threshold
    thresholds         IN   (n_sizes,) float32: descriptors with a smaller sum are zero
    storage            IN   (3,) float32: the length of a descriptor, the largest value, and the value added at the end
    steps              IN   (length of the longest filter,) uint64: 0, 1, 2, ...
    rows                    uint64, of the same length: work space for row offsets
    lines, sheets           float32, work space from `sift_room`
    descriptors        OUT  (n * n_channels * 128,): for each channel 4 bins in y, 4 in x, 8 orientations
    """
    small_code()
    marks, row_places, column_places, pixels = places
    n_channels, height, n_filters = channels.shape[0], marks.shape[1], marks.shape[2]
    width = channels.shape[1] // height
    out, last = 0, height - 1
    unit, most, half = storage[0], storage[1], storage[2]
    smooth, line, total, planes = lines
    gradients, cells, squares, sums, cuts, scratch, bin_weights = sheets
    contrasts = cuts[n_channels]
    for s in range(len(lattices)):
        bin_size, n_rows, n, n_cell_rows, radius = lattices[s, 0], lattices[s, 1], lattices[s, 2], lattices[s, 3], radii[s]
        n_centres, own = lattices[s, 4], weights[s]
        starts, centres = column_places[s, :n], pixels[s, :n_centres]
        pad, ring, taps, reach = bin_size - 1, 2 * bin_size - 1, (2 * bin_size + 2) // 4 * 4, (2 * radius + 4) // 4 * 4
        length = 4 * (width + 2 * pad)
        both = total[: 2 * length]
        for c in range(n_channels):
            image = channels[c]
            if radius > 0:
                # Smooth along y, then along x; pixels at the border are repeated.
                for y in range(height):
                    for u in range(reach):
                        rows[u] = smaller(larger(y + u - radius, 0), last) * width
                    _weigh(image, rows, smoothers[s], reach, line[radius : radius + width])
                    for x in range(radius):
                        line[x] = line[radius]
                        line[radius + width + x] = line[radius + width - 1]
                    _weigh(line, steps, smoothers[s], reach, smooth[y * width : y * width + width])
                image = smooth
            known = 0
            for y in range(height):
                for f in range(n_filters):
                    row = marks[s, y, f]
                    if row >= 0:
                        end = smaller(y + bin_size, height)
                        for v in range(larger(known, y - pad), end):
                            start = v % ring * length
                            _fill_planes(image, v, last, width, pad, gradients, planes[start : start + length])
                        known = end
                        for u in range(taps):
                            rows[u] = smaller(larger(y + u - pad, 0), end - 1) % ring * length
                        _weigh_both(planes, rows, filters[s, f], taps, U(length), line)
                        for g in range(n_filters):
                            _weigh(line, steps, filters[s, g], taps, both)
                            _take_cells(both, U(length // 4), centres, g, n_filters, cells[c * n_cell_rows + row])
        _cell_sums(cells, n_channels * n_cell_rows, n_centres, squares, sums)
        for by in range(4):
            for k in range(32):
                bin_weights[by, k] = own[by] * own[k // 8]
        for i in range(n_rows):
            for j in range(n):
                contrasts[j] = ZERO
            ra, rb, rc, rd = row_places[s, i, 0], row_places[s, i, 1], row_places[s, i, 2], row_places[s, i, 3]
            for c in range(n_channels):
                base = c * n_cell_rows
                four = (U(base + ra), U(base + rb), U(base + rc), U(base + rd))
                _descriptor_sums(squares, sums, four, U(n_centres), starts, own, shares[c], scratch, cuts[c], contrasts)
            for c in range(n_channels):
                base = c * n_cell_rows
                for j in range(n):
                    start = out + (j * n_channels + c) * 128
                    if contrasts[j] >= thresholds[s]:
                        bins = (base + ra, base + rb, base + rc, base + rd, 8 * starts[j])
                        cut_and_scale(cells, bins, bin_weights, cuts[c, j], unit, most, half, descriptors, start)
                    else:
                        for k in range(128):
                            descriptors[start + k] = 0
            out += n * n_channels * 128


@part(fastmath={"contract", "reassoc"})
def _weigh(source, offsets, filter, taps, out):
    """Add up the lines that begin at the offsets, weighted by the filter; four lines at a time, because storing is slow."""
    stay_apart()
    wide_vectors()
    n = U(len(out))
    for u in range(0, taps, 4):
        wa, wb, wc, wd = filter[u], filter[u + 1], filter[u + 2], filter[u + 3]
        a, b, c, d = offsets[u], offsets[u + 1], offsets[u + 2], offsets[u + 3]
        if u == 0:
            for k in range(n):
                out[k] = wa * source[a + k] + wb * source[b + k] + wc * source[c + k] + wd * source[d + k]
        else:
            for k in range(n):
                out[k] += wa * source[a + k] + wb * source[b + k] + wc * source[c + k] + wd * source[d + k]


@part(fastmath={"contract", "reassoc"})
def _weigh_both(source, offsets, filter, taps, n, out):
    """Like `_weigh`, but first sum the positive values, then all values; the difference is the sum of the negative values."""
    wide_vectors()
    stay_apart()
    for u in range(0, taps, 4):
        wa, wb, wc, wd = filter[u], filter[u + 1], filter[u + 2], filter[u + 3]
        a, b, c, d = offsets[u], offsets[u + 1], offsets[u + 2], offsets[u + 3]
        if u == 0:
            for k in range(n):
                pa, pb = larger(source[a + k], ZERO), larger(source[b + k], ZERO)
                pc, pd = larger(source[c + k], ZERO), larger(source[d + k], ZERO)
                out[k] = wa * pa + wb * pb + wc * pc + wd * pd
            for k in range(n):
                out[n + k] = wa * source[a + k] + wb * source[b + k] + wc * source[c + k] + wd * source[d + k]
        else:
            for k in range(n):
                pa, pb = larger(source[a + k], ZERO), larger(source[b + k], ZERO)
                pc, pd = larger(source[c + k], ZERO), larger(source[d + k], ZERO)
                out[k] += wa * pa + wb * pb + wc * pc + wd * pd
            for k in range(n):
                out[n + k] += wa * source[a + k] + wb * source[b + k] + wc * source[c + k] + wd * source[d + k]


@part()
def _take_cells(total, stride, pixels, first, every, cells):
    """Copy the sums around the centres of the cells in a row: first the sums of positive values, then of negative values."""
    stay_apart()
    one, two, three, four = stride, U(2) * stride, U(3) * stride, U(4) * stride
    for i in range(four):
        total[four + i] = larger(total[i] - total[four + i], ZERO)
    for place in range(first, len(pixels), every):
        k, x = U(8 * place), U(pixels[place])
        y = x + four
        a, b, c, d = total[x], total[x + one], total[x + two], total[x + three]
        e, f, g, h = total[y], total[y + one], total[y + two], total[y + three]
        cells[k], cells[k + U(1)], cells[k + U(2)], cells[k + U(3)] = a, b, c, d
        cells[k + U(4)], cells[k + U(5)], cells[k + U(6)], cells[k + U(7)] = e, f, g, h


@part(fastmath={"contract"})
def _fill_planes(image, y, last, width, pad, lines, planes):
    """Compute the gradients of a row, and split the magnitude of each between the two nearest orientations.

    The two nearest orientations are an axis and a diagonal, which are found by comparisons. The planes are: right and left,
    down right and up left, down and up, down left and up right. With more arrays, the loop would not be vectorised.
    """
    stay_apart()
    wide_vectors()
    up, down = larger(y - 1, 0), smaller(y + 1, last)
    above, row, below = U(up * width), U(y * width), U(down * width)
    scale = HALF if down - up == 2 else ONE
    gx, gy, axis, diagonal = U(0), U(1), U(2), U(3)
    n, s = U(width), U(width + 2 * pad)
    a, b, c, d = U(pad), U(pad) + s, U(pad) + U(2) * s, U(pad) + U(3) * s
    for x in range(U(1), U(larger(width - 1, 1))):
        lines[gx, x] = HALF * (image[row + x + U(1)] - image[row + x - U(1)])
    start, end = y * width, y * width + width - 1
    lines[0, 0] = image[smaller(start + 1, end)] - image[start]
    lines[0, width - 1] = image[end] - image[larger(end - 1, start)]
    for x in range(n):
        lines[gy, x] = scale * (image[below + x] - image[above + x])
    for x in range(n):
        ax, ay = abs(lines[gx, x]), abs(lines[gy, x])
        high, low = larger(ax, ay), smaller(ax, ay)
        r = low / larger(high, TINY)
        q = r * r
        magnitude = M0 + q * (M1 + q * (M2 + q * (M3 + q * (M4 + q * M5))))
        share = r * (D0 + q * (D1 + q * (D2 + q * (D3 + q * (D4 + q * D5)))))
        lines[diagonal, x] = high * share
        lines[axis, x] = high * larger(magnitude - share, ZERO)
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


@part(fastmath={"contract", "reassoc"})
def _cell_sums(cells, n_rows, n_columns, squares, sums):
    stay_apart()
    for i in range(n_rows):
        for j in range(n_columns):
            square, total = ZERO, ZERO
            for k in range(8 * j, 8 * j + 8):
                value = cells[i, k]
                square += value * value
                total += value
            squares[i, j], sums[i, j] = square, total


@part(fastmath={"contract", "reassoc"})
def _descriptor_sums(squares, sums, rows, n, places, weights, share, scratch, cuts, contrasts):
    """From the sums of the cells, compute the clipping limit and the contrast of each descriptor of a row."""
    stay_apart()
    square, total = scratch[0], scratch[1]
    wa, wb, wc, wd = weights[0], weights[1], weights[2], weights[3]
    ra, rb, rc, rd = rows
    va, vb, vc, vd = wa * wa, wb * wb, wc * wc, wd * wd
    for x in range(n):
        square[x] = va * squares[ra, x] + vb * squares[rb, x] + vc * squares[rc, x] + vd * squares[rd, x]
    for x in range(n):
        total[x] = wa * sums[ra, x] + wb * sums[rb, x] + wc * sums[rc, x] + wd * sums[rd, x]
    for j in range(len(places)):
        a = places[j]
        b, c, d = a + 1, a + 2, a + 3
        cuts[j] = CUT * np.float32(sqrt(va * square[a] + vb * square[b] + vc * square[c] + vd * square[d]))
        contrasts[j] += share * (wa * total[a] + wb * total[b] + wc * total[c] + wd * total[d])


# The last step of a descriptor keeps all 128 values in registers; loops over the values would take twice as long.


@intrinsic
def _cut_and_scale(typing_context, cells, bins, weights, cut, unit, most, half, out, start):
    def generate(context, builder, signature, arguments):
        cells, weights, out = (
            context.make_array(signature.args[place])(context, builder, arguments[place]) for place in (0, 2, 7)
        )
        bins = cgutils.unpack_tuple(builder, arguments[1], 5)
        width = cgutils.unpack_tuple(builder, cells.shape, 2)[1]
        bytes_out = signature.args[7].dtype == types.uint8
        _emit(builder, (cells.data, width), bins, weights.data, arguments[3:7], (out.data, arguments[8]), bytes_out)
        return context.get_dummy_value()

    return types.void(cells, bins, weights, cut, unit, most, half, out, start), generate


def _plain_cut_and_scale(cells, bins, weights, cut, unit, most, half, out, start):
    rows, first = bins[:4], bins[4]
    values = np.minimum(weights * np.stack([cells[row, first : first + 32] for row in rows]), cut).ravel()
    length = np.sqrt(np.float32((values * values).sum()))
    scale = unit / length if length > 0 else np.float32(0)
    out[start : start + 128] = np.minimum(values * scale, most) + half


# Weight, clip and scale one channel of a descriptor to the length `unit`, and store it.
cut_and_scale: Any = _cut_and_scale if COMPILED else _plain_cut_and_scale


def _emit(builder, cells, bins, weights, numbers, out, bytes_out):
    """Emit LLVM code for eight vectors of sixteen values; LLVM splits them for processors with shorter vectors."""
    from llvmlite import ir

    index, single = ir.IntType(64), ir.FloatType()
    cut, unit, most, half = numbers
    values = []
    for place in range(8):
        offset = builder.add(
            builder.mul(bins[place // 2], cells[1]), builder.add(bins[4], ir.Constant(index, 16 * (place % 2)))
        )
        weight = builder.load(vector_at(builder, weights, ir.Constant(index, 16 * place), single, 16), align=4)
        value = builder.fmul(weight, builder.load(vector_at(builder, cells[0], offset, single, 16), align=4))
        values.append(least(builder, value, spread(builder, cut, 16)))
    square = total(builder, [builder.fmul(value, value) for value in values])
    root = cgutils.get_or_insert_function(builder.module, ir.FunctionType(single, [single]), "llvm.sqrt.f32")
    quotient, none = builder.fdiv(unit, builder.call(root, [square])), ir.Constant(single, 0.0)
    scale = builder.select(builder.fcmp_ordered(">", square, none), quotient, none)
    for place, value in enumerate(values):
        value = builder.fmul(value, spread(builder, scale, 16))
        kind = single
        if bytes_out:
            value = builder.fadd(least(builder, value, spread(builder, most, 16)), spread(builder, half, 16))
            whole = builder.fptosi(value, ir.VectorType(ir.IntType(32), 16))
            value, kind = builder.trunc(whole, ir.VectorType(ir.IntType(8), 16)), ir.IntType(8)
        offset = builder.add(out[1], ir.Constant(index, 16 * place))
        builder.store(value, vector_at(builder, out[0], offset, kind, 16), align=1 if bytes_out else 4)
