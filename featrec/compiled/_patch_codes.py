"""Threshold codes of small images in one pass: patches are cut, whitened, rounded to bytes, and multiplied by the words.

Mirrored images take almost no additional time. If s and a are the products of a word with the symmetric and the antisymmetric
part of a patch, then s + a is its product with the patch, and s - a its product with the mirrored patch. Patches are sorted by
cell and padded with zeros to groups of six; the results of a group are summed in registers before they are added to the row of
the cell.

Products and sums are integers and therefore exact. Processors that cannot multiply bytes multiply the same numbers as float32
with BLAS, and get the same sums.
"""

import numpy as np
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic

from featrec.compiled._parts import COMPILED, LOOP, part, spread, vector_at, wide_vectors

LANES = 16
VECTORS = 2
BLOCK = LANES * VECTORS
POINTS_AT_ONCE = 6
# The unsigned byte that represents 0.
ZERO = 128
# Maximum number of features whose products can be summed in 32 bits: 127 * 127 times this number is below 2**31.
MOST = 130_000
# Number of points per BLAS product; a multiple of six.
TILE = 96


def add_reach(points, words, starts, limits, cells, n_even, sums):
    """For each point and word of a block, add max(0, product - limit) and max(0, -product - limit) to the row of its cell.

    IN points (n, groups) uint32 of four bytes (n is a multiple of six), words (groups, BLOCK) int32 of four bytes, starts (2,
    BLOCK) int32, which correct for the offset of the points (ZERO), limits (BLOCK,) int32, cells (n / 6, 2) int64;
    OUT sums (n_cells, 2, BLOCK) int32.
    """
    _add_sides(points, words, limits, cells, len(words), sums, 1)


def add_reach_both(points, words, starts, limits, cells, n_even, sums):
    """Like `add_reach`, but also add mirrored points to the second cells. The first `n_even` groups are symmetric."""
    _add_sides(points, words, limits, cells, n_even, sums, 2)


def _add_sides(points, words, limits, cells, n_even, sums, n_sides):
    whole = points.view(np.uint8).astype(np.int32) - ZERO
    turned = np.ascontiguousarray(words.T).view(np.int8).astype(np.int32)
    middle = 4 * n_even
    even, odd = whole[:, :middle] @ turned[:, :middle].T, whole[:, middle:] @ turned[:, middle:].T
    for side in range(n_sides):
        for i, product in enumerate(even - odd if side else even + odd):
            sums[cells[i // POINTS_AT_ONCE, side]] += np.maximum(0, np.stack((product, -product)) - limits)


def _written(signature, mirror):
    def generate(context, builder, signature, arguments):
        places = (0, 1, 2, 3, 4, 6)
        held = [context.make_array(signature.args[i])(context, builder, arguments[i]) for i in places]
        n, width = cgutils.unpack_tuple(builder, held[0].shape, 2)
        _emit(builder, n, width, arguments[5], [array.data for array in held], mirror)
        return context.get_dummy_value()

    return signature, generate


@intrinsic
def _add_reach(typing_context, points, words, starts, limits, cells, n_even, sums):
    return _written(types.void(points, words, starts, limits, cells, n_even, sums), mirror=False)


@intrinsic
def _add_reach_both(typing_context, points, words, starts, limits, cells, n_even, sums):
    return _written(types.void(points, words, starts, limits, cells, n_even, sums), mirror=True)


def _emit(builder, n, width, n_even, data, mirror):
    """Emit code that multiplies six points (and their mirror images) by the words and sums the values beyond the limit."""
    from llvmlite import ir

    points, words, starts, limits, cells, sums = data
    index, element = ir.IntType(64), ir.IntType(32)
    points, words = (builder.bitcast(pointer, element.as_pointer()) for pointer in (points, words))
    step = ir.Constant(index, POINTS_AT_ONCE)

    def vector_of(pointer, offset):
        offset = offset if isinstance(offset, ir.Value) else ir.Constant(index, offset)
        return vector_at(builder, pointer, offset, element, LANES)

    bounds = [builder.load(vector_of(limits, v * LANES), align=4) for v in range(VECTORS)]
    with cgutils.for_range_slice(builder, ir.Constant(index, 0), n, step, intp=index) as (first, _):
        begins = [builder.load(vector_of(starts, v * LANES), align=4) for v in range(VECTORS)]
        none, stop = ir.Constant(index, 0), n_even if mirror else width
        products = _emit_products(builder, first, width, none, stop, points, words, begins)
        if mirror:
            begins = [builder.load(vector_of(starts, BLOCK + v * LANES), align=4) for v in range(VECTORS)]
            odd = _emit_products(builder, first, width, n_even, width, points, words, begins)
            pairs = [list(zip(*both, strict=True)) for both in zip(products, odd, strict=True)]
            sides = [
                [[builder.add(s, a) for s, a in row] for row in pairs],
                [[builder.sub(s, a) for s, a in row] for row in pairs],
            ]
        else:
            sides = [products]
        place = builder.mul(builder.udiv(first, step), ir.Constant(index, 2))
        for side, rows in enumerate(sides):
            cell = builder.load(builder.gep(cells, [builder.add(place, ir.Constant(index, side))]))
            row = builder.mul(cell, ir.Constant(index, 2 * BLOCK))
            for v, bound in enumerate(bounds):
                for way, total in enumerate(_emit_reach(builder, [products[v] for products in rows], bound)):
                    target = vector_of(sums, builder.add(row, ir.Constant(index, way * BLOCK + v * LANES)))
                    builder.store(builder.add(builder.load(target, align=4), total), target, align=4)


def _emit_products(builder, first, width, start, stop, points, words, begins):
    """Emit code that multiplies six points by the words of a block over a range of features.

    The six rows of vectors stay in registers.
    """
    from llvmlite import ir

    index, element = ir.IntType(64), ir.IntType(32)
    vector = ir.VectorType(element, LANES)
    kind = ir.FunctionType(vector, [vector] * 3)
    multiply_add = cgutils.get_or_insert_function(builder.module, kind, "llvm.x86.avx512.vpdpbusd.512")
    sums = [[cgutils.alloca_once(builder, vector) for _ in range(VECTORS)] for _ in range(POINTS_AT_ONCE)]
    for places in sums:
        for place, begin in zip(places, begins, strict=True):
            builder.store(begin, place)
    rows = [builder.mul(builder.add(first, ir.Constant(index, r)), width) for r in range(POINTS_AT_ONCE)]
    with cgutils.for_range_slice(builder, start, stop, ir.Constant(index, 1), intp=index) as (group, _):
        offset = builder.mul(group, ir.Constant(index, BLOCK))
        loaded = [
            builder.load(vector_at(builder, words, builder.add(offset, ir.Constant(index, v * LANES)), element, LANES), align=4)
            for v in range(VECTORS)
        ]
        for row, places in zip(rows, sums, strict=True):
            point = spread(builder, builder.load(builder.gep(points, [builder.add(row, group)])), LANES)
            for place, word in zip(places, loaded, strict=True):
                builder.store(builder.call(multiply_add, (builder.load(place), point, word)), place)
    return [[builder.load(place) for place in places] for places in sums]


def _emit_reach(builder, products, bound):
    """Emit code that sums max(0, product - limit) over the points, and likewise max(0, -product - limit)."""
    from llvmlite import ir

    none = ir.Constant(bound.type, [0] * LANES)
    sums = []
    for way in range(2):
        total = none
        for product in products:
            beyond = builder.sub(builder.sub(none, product) if way else product, bound)
            beyond = builder.select(builder.icmp_signed(">", beyond, none), beyond, none)
            total = builder.add(total, beyond)
        sums.append(total)
    return sums


# The intrinsics replace the functions above; overloads would be compiled separately for each call.
if COMPILED:
    add_reach, add_reach_both = _add_reach, _add_reach_both  # type: ignore[assignment]


@part()
def _column_sums(values, y, size, sums, squares):
    """From the sums of the previous row, compute the sums of values and squared values over `size` rows, starting at y."""
    if y == 0:
        sums[:] = 0
        squares[:] = 0
        for row in range(size):
            for x in range(values.shape[1]):
                value = np.int64(values[row, x])
                sums[x] += value
                squares[x] += value * value
        return
    for x in range(values.shape[1]):
        gone, come = np.int64(values[y - 1, x]), np.int64(values[y + size - 1, x])
        sums[x] += come - gone
        squares[x] += come * come - gone * gone


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
        spread_of_values = n * total_of_squares - total * total
        variance = unit * unit * spread_of_values / (np.float64(n) * max(n - 1, 1))
        factors[i] = unit / np.sqrt(variance + contrast) if spread_of_values > 0 else 0.0


@part()
def _cut(values, size, channels, unit, contrast, places, patches):
    """Write each patch of an image to its row, after subtracting its mean and dividing by its contrast."""
    height, width = values.shape
    length = size * channels
    n_columns = (width - length) // channels + 1
    sums, squares = np.empty(width, np.int64), np.empty(width, np.int64)
    means, factors = np.empty(n_columns, np.float32), np.empty(n_columns, np.float32)
    n = 0
    for y in range(height - size + 1):
        _column_sums(values, y, size, sums, squares)
        _row_contrasts(sums, squares, size, length, channels, unit, contrast, means, factors)
        for i in range(n_columns):
            mean, factor = means[i], factors[i]
            patch = patches[places[n]]
            for row in range(size):
                part = values[y + row, i * channels : i * channels + length]
                target = patch[row * length : (row + 1) * length]
                for x in range(length):
                    target[x] = (np.float32(part[x]) - mean) * factor
            n += 1


@part()
def _to_bytes(turned, offsets, filled, scale, points):
    """Multiply by scale, round to integers from -127 to 127, and add 128; rows that pad a run become 128."""
    low, high, half = np.float32(1.0), np.float32(255.0), np.float32(ZERO + 0.5)
    for i in range(turned.shape[0]):
        if not filled[i]:
            points[i] = ZERO
            continue
        for f in range(turned.shape[1]):
            value = (turned[i, f] - offsets[f]) * scale + half
            points[i, f] = np.uint8(np.int32(min(max(value, low), high)))


@part()
def _pool(whole, factors, first, last, members, region_starts, shares, row):
    """Write the columns of a block of words: the sums over the cells of each region, converted to the units of the words."""
    n_words = row.shape[0] // (2 * (region_starts.shape[0] - 1))
    total = np.empty((2, BLOCK), np.int64)
    for r in range(region_starts.shape[0] - 1):
        total[:] = 0
        for m in range(region_starts[r], region_starts[r + 1]):
            total += whole[members[m]]
        for way in range(2):
            place = (2 * r + way) * n_words
            for j in range(first, last):
                row[place + j] = np.float32(np.float64(total[way, j - first]) * factors[j] * shares[r])


@njit(**LOOP)
def patch_codes(
    images, size, unit, contrast, basis, offsets, scale, places, filled, cells, words, starts, limits, n_even, mirror,
    factors, members, region_starts, shares, codes,
):  # fmt: skip
    """For each image, region and word, average max(0, product - limit) and max(0, -product - limit) over the patches.

    IN images (n, h, w * channels) uint16; size int64; unit, contrast float64, as in `cut_patches`; basis (d, width) float32,
    width a multiple of four, offsets (width,) float32, scale float32; places (patches,) int64 with the row of each patch in a
    table in which the patches of a cell form a run, padded to a multiple of six rows; filled (rows,) bool with the rows that
    contain a patch; cells (rows / 6, 2) int64, with mirrored patches in the second column; words (n_blocks, width / 4, BLOCK)
    int32, starts (n_blocks, 2, BLOCK), limits (n_blocks, BLOCK) int32; n_even int64, mirror bool; factors (n_words,) float64, 1
    / (scale of the word * scale of the points); members int64 with the cells of the regions, one region after another,
    region_starts (n_regions + 1,) int64, shares (n_regions,) float64 with the factors by which the sums of the regions are
    multiplied; OUT codes (n, n_regions * 2 * n_words) float32.
    """
    wide_vectors()
    d, width = basis.shape
    channels = d // (size * size)
    n_rows, n_cells, n_words = filled.shape[0], np.max(cells) + 1 if cells.shape[0] else 0, factors.shape[0]
    patches, turned = np.zeros((n_rows, d), np.float32), np.empty((n_rows, width), np.float32)
    points = np.empty((n_rows, width), np.uint8)
    grouped = points.view(np.uint32)
    part, whole = np.empty((n_cells, 2, BLOCK), np.int32), np.empty((n_cells, 2, BLOCK), np.int64)
    most = max(1, MOST // (width * POINTS_AT_ONCE)) * POINTS_AT_ONCE
    for i in range(images.shape[0]):
        _cut(images[i], size, channels, unit, contrast, places, patches)
        np.dot(patches, basis, turned)
        _to_bytes(turned, offsets, filled, scale, points)
        for b in range(words.shape[0]):
            whole[:] = 0
            for start in range(0, n_rows, most):
                stop = min(start + most, n_rows)
                here = cells[start // POINTS_AT_ONCE : stop // POINTS_AT_ONCE]
                part[:] = 0
                if mirror:
                    add_reach_both(grouped[start:stop], words[b], starts[b], limits[b], here, n_even, part)
                else:
                    add_reach(grouped[start:stop], words[b], starts[b], limits[b], here, n_even, part)
                whole += part
            first = b * BLOCK
            _pool(whole, factors, first, min(first + BLOCK, n_words), members, region_starts, shares, codes[i])


@part()
def _add_products(products, limits, cells, side, first, sums):
    """Add values beyond the limits to the rows of their cells; `first` is the first column of the block in the products."""
    none = np.int32(0)
    for i in range(products.shape[0]):
        row = sums[cells[i // POINTS_AT_ONCE, side]]
        for j in range(BLOCK):
            product = np.int32(products[i, first + j])
            row[0, j] += max(none, product - limits[j])
            row[1, j] += max(none, -product - limits[j])


@part()
def _columns_of_words(words, n_even, even, odd):
    """Write words as columns of float32, the symmetric and the antisymmetric part separately."""
    for b in range(words.shape[0]):
        numbers = words[b].view(np.int8)
        for g in range(words.shape[1]):
            for j in range(BLOCK):
                for f in range(4):
                    value = np.float32(numbers[g, 4 * j + f])
                    if g < n_even:
                        even[4 * g + f, b * BLOCK + j] = value
                    else:
                        odd[4 * (g - n_even) + f, b * BLOCK + j] = value


@part()
def _halves(points, start, n_even, even, odd):
    """Convert rows of bytes to integers from -127 to 127, stored as float32."""
    for i in range(even.shape[0]):
        for f in range(points.shape[1]):
            value = np.float32(np.int32(points[start + i, f]) - ZERO)
            if f < 4 * n_even:
                even[i, f] = value
            else:
                odd[i, f - 4 * n_even] = value


@njit(**LOOP)
def patch_codes_by_blas(
    images, size, unit, contrast, basis, offsets, scale, places, filled, cells, words, starts, limits, n_even, mirror,
    factors, members, region_starts, shares, codes,
):  # fmt: skip
    """Compute exactly the same codes as `patch_codes` on processors that cannot multiply bytes, for widths up to 1,040.

    The codes are the same because integers below 2**24 are exact in float32.
    """
    d, width = basis.shape
    channels, n_blocks = d // (size * size), words.shape[0]
    n_rows, n_cells, n_words = filled.shape[0], np.max(cells) + 1 if cells.shape[0] else 0, factors.shape[0]
    n_even = n_even if mirror else width // 4
    patches, turned = np.zeros((n_rows, d), np.float32), np.empty((n_rows, width), np.float32)
    points = np.empty((n_rows, width), np.uint8)
    even_words = np.empty((4 * n_even, n_blocks * BLOCK), np.float32)
    odd_words = np.empty((width - 4 * n_even, n_blocks * BLOCK), np.float32)
    _columns_of_words(words, n_even, even_words, odd_words)
    even, odd = np.empty((TILE, 4 * n_even), np.float32), np.empty((TILE, width - 4 * n_even), np.float32)
    products = np.empty((2, TILE, n_blocks * BLOCK), np.float32)
    part, whole = np.empty((n_blocks, n_cells, 2, BLOCK), np.int32), np.empty((n_blocks, n_cells, 2, BLOCK), np.int64)
    room = max(1, MOST // (width * TILE)) * TILE
    for i in range(images.shape[0]):
        _cut(images[i], size, channels, unit, contrast, places, patches)
        np.dot(patches, basis, turned)
        _to_bytes(turned, offsets, filled, scale, points)
        whole[:] = 0
        part[:] = 0
        for start in range(0, n_rows, TILE):
            m = min(TILE, n_rows - start)
            here = cells[start // POINTS_AT_ONCE : (start + m) // POINTS_AT_ONCE]
            _halves(points, start, n_even, even[:m], odd[:m])
            np.dot(even[:m], even_words, products[0, :m])
            if mirror:
                np.dot(odd[:m], odd_words, products[1, :m])
                for j in range(m):
                    for k in range(products.shape[2]):
                        s, a = products[0, j, k], products[1, j, k]
                        products[0, j, k], products[1, j, k] = s + a, s - a
            for b in range(n_blocks):
                for side in range(2 if mirror else 1):
                    _add_products(products[side, :m], limits[b], here, side, b * BLOCK, part[b])
            if (start + TILE) % room == 0 or start + TILE >= n_rows:
                whole += part
                part[:] = 0
        for b in range(n_blocks):
            first = b * BLOCK
            _pool(whole[b], factors, first, min(first + BLOCK, n_words), members, region_starts, shares, codes[i])


@njit(**LOOP)
def patch_points(image, size, unit, contrast, basis, offsets, scale, places, filled, points):
    """Whiten the patches of one image and round them, as `patch_codes` does.

    IN as in `patch_codes`, but one image (h, w * channels); OUT points (rows, width) uint8.
    """
    d, width = basis.shape
    patches, turned = np.zeros((filled.shape[0], d), np.float32), np.empty((filled.shape[0], width), np.float32)
    _cut(image, size, d // (size * size), unit, contrast, places, patches)
    np.dot(patches, basis, turned)
    _to_bytes(turned, offsets, filled, scale, points)
