"""Codes that use the products of each point with all words, computed in registers, for processors with AVX-512.

Each vector lane holds one word; a block has 64 words. Six points are processed together, so the 24 vectors of sums stay in
registers during the loop over the features. Results are added directly to the row of each point's cell, so points may be in any
order, and no products are stored. On other processors, BLAS is used (`_two_sided_codes`, `_dense_codes`).
"""

from typing import Any

import numpy as np
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic

from featrec.compiled._parts import COMPILED, LOOP, larger, part, smaller, spread, total, vector_at, wide_vectors

LANES = 16
VECTORS = 4
BLOCK = LANES * VECTORS
POINTS_AT_ONCE = 6
# Maximum number of values in a tile of points (512 KB). The tile and the words must fit into the second-level cache together.
ROOM = 131_072


@part()
def _in_blocks(words, blocks):
    """Write words as columns of blocks of 64, padded with zeros."""
    k, d = words.shape
    for b in range(blocks.shape[0]):
        first = b * BLOCK
        filled = smaller(BLOCK, k - first)
        for f in range(d):
            for j in range(filled):
                blocks[b, f, j] = words[first + j, f]
            for j in range(filled, BLOCK):
                blocks[b, f, j] = np.float32(0.0)


@part(returns=types.int64)
def _load(points, cells, start, tile, tile_cells):
    """Copy the next points to a tile, padded with zeros to a multiple of six; return its number of points."""
    m = smaller(tile.shape[0], points.shape[0] - start)
    for i in range(m):
        tile_cells[i] = cells[start + i]
        for f in range(tile.shape[1]):
            tile[i, f] = points[start + i, f]
    whole = -(-m // POINTS_AT_ONCE) * POINTS_AT_ONCE
    tile[m:whole] = 0
    tile_cells[m:whole] = 0
    return whole


@intrinsic
def _add_reach(typing_context, points, words, cells, threshold, sums):
    def generate(context, builder, signature, arguments):
        kinds = [signature.args[i] for i in (0, 1, 2, 4)]
        held = [context.make_array(t)(context, builder, arguments[i]) for t, i in zip(kinds, (0, 1, 2, 4), strict=True)]
        n, width = cgutils.unpack_tuple(builder, held[0].shape, 2)
        _emit_reach(builder, n, width, [array.data for array in held], arguments[3])
        return context.get_dummy_value()

    return types.void(points, words, cells, threshold, sums), generate


def _plain_reach(points, words, cells, threshold, sums):
    for x, cell in zip(points, cells, strict=True):
        products = x @ words
        sums[cell] += np.maximum(0, np.concatenate((products, -products)) - threshold)


# For each point, add max(0, x·w - threshold) and max(0, -x·w - threshold) to the row of the point's cell.
add_reach: Any = _add_reach if COMPILED else _plain_reach


def _emit_reach(builder, n, width, data, threshold):
    """Emit LLVM code that computes 24 vectors of products for six points and sums the values beyond the threshold."""
    from llvmlite import ir

    points, words, cells, sums = data
    index, element = ir.IntType(64), ir.FloatType()
    vector = ir.VectorType(element, LANES)
    none = ir.Constant(vector, [0.0] * LANES)
    limit = spread(builder, threshold, LANES)
    start, step = ir.Constant(index, 0), ir.Constant(index, POINTS_AT_ONCE)
    with cgutils.for_range_slice(builder, start, n, step, intp=index) as (first, _):
        for r, products in enumerate(_emit_products(builder, first, width, points, words)):
            cell = builder.load(builder.gep(cells, [builder.add(first, ir.Constant(index, r))]))
            row = builder.mul(cell, ir.Constant(index, 2 * BLOCK))
            for v, product in enumerate(products):
                for side, value in enumerate((product, builder.fsub(none, product))):
                    offset = builder.add(row, ir.Constant(index, side * BLOCK + v * LANES))
                    place = vector_at(builder, sums, offset, element, LANES)
                    beyond = builder.fsub(value, limit)
                    beyond = builder.select(builder.fcmp_ordered(">", beyond, none), beyond, none)
                    builder.store(builder.fadd(builder.load(place, align=4), beyond), place, align=4)


def _emit_products(builder, first, width, points, words):
    """Emit code that multiplies six points by 64 words; the six rows of four vectors stay in registers."""
    from llvmlite import ir

    index, element = ir.IntType(64), ir.FloatType()
    vector = ir.VectorType(element, LANES)
    fma = cgutils.get_or_insert_function(builder.module, ir.FunctionType(vector, [vector] * 3), f"llvm.fma.v{LANES}f32")
    sums = [[cgutils.alloca_once(builder, vector) for _ in range(VECTORS)] for _ in range(POINTS_AT_ONCE)]
    for place in (place for places in sums for place in places):
        builder.store(ir.Constant(vector, [0.0] * LANES), place)
    starts = [builder.mul(builder.add(first, ir.Constant(index, r)), width) for r in range(POINTS_AT_ONCE)]
    with cgutils.for_range(builder, width, intp=index) as loop:
        row = builder.mul(loop.index, ir.Constant(index, BLOCK))
        loaded = [
            builder.load(vector_at(builder, words, builder.add(row, ir.Constant(index, v * LANES)), element, LANES), align=4)
            for v in range(VECTORS)
        ]
        for start, places in zip(starts, sums, strict=True):
            factor = spread(builder, builder.load(builder.gep(points, [builder.add(start, loop.index)])), LANES)
            for place, numbers in zip(places, loaded, strict=True):
                builder.store(builder.call(fma, (numbers, factor, builder.load(place))), place)
    return [[builder.load(place) for place in places] for places in sums]


@njit(**LOOP)
def threshold_code_by_dot(points, words, cells, threshold, pooled):
    """For each cell and word w, sum max(0, x·w - threshold) over the cell's points x; also sum max(0, -x·w - threshold).

    IN points (n, d) float32 or uint8, words (k, d) float32, cells (n,) int64, threshold float32, not negative;
    OUT pooled (n_cells, 2k) float32.
    """
    wide_vectors()
    n, d = points.shape
    k, n_cells = words.shape[0], pooled.shape[0]
    n_blocks = -(-k // BLOCK)
    blocks = np.empty((n_blocks, d, BLOCK), np.float32)
    _in_blocks(words, blocks)
    sums = np.empty((n_blocks, n_cells, 2 * BLOCK), np.float32)
    sums[:] = np.float32(0.0)
    most = larger(1, ROOM // larger(1, d) // POINTS_AT_ONCE) * POINTS_AT_ONCE
    size = smaller(most, -(-n // POINTS_AT_ONCE) * POINTS_AT_ONCE)
    tile, tile_cells = np.empty((size, d), np.float32), np.empty(size, np.int64)
    for start in range(0, n, larger(1, size)):
        m = _load(points, cells, start, tile, tile_cells)
        for b in range(n_blocks):
            add_reach(tile[:m], blocks[b], tile_cells[:m], threshold, sums[b])
    for b in range(n_blocks):
        first = b * BLOCK
        for c in range(n_cells):
            for j in range(smaller(BLOCK, k - first)):
                pooled[c, first + j] = sums[b, c, j]
                pooled[c, k + first + j] = sums[b, c, BLOCK + j]


@intrinsic
def _add_distances(typing_context, points, words, lengths, word_lengths, values, sums):
    def generate(context, builder, signature, arguments):
        held = [context.make_array(t)(context, builder, a) for t, a in zip(signature.args, arguments, strict=True)]
        n, width = cgutils.unpack_tuple(builder, held[0].shape, 2)
        _emit_distances(builder, n, width, [array.data for array in held])
        return context.get_dummy_value()

    return types.void(points, words, lengths, word_lengths, values, sums), generate


def _plain_distances(points, words, lengths, word_lengths, values, sums):
    squares = np.expand_dims(lengths, 1) + word_lengths - 2 * points @ words
    values[:] = np.sqrt(np.maximum(0, squares))
    sums += values.sum(axis=1)


# Store the distances from the points to the words of a block, and add them to each point's sum of distances.
add_distances: Any = _add_distances if COMPILED else _plain_distances


def _emit_distances(builder, n, width, data):
    """Emit LLVM code that computes 24 vectors of distances for six points, stores them, and adds them up for each point."""
    from llvmlite import ir

    points, words, lengths, word_lengths, values, sums = data
    index, element = ir.IntType(64), ir.FloatType()
    vector = ir.VectorType(element, LANES)
    two = ir.Constant(vector, [2.0] * LANES)
    start, step = ir.Constant(index, 0), ir.Constant(index, POINTS_AT_ONCE)
    with cgutils.for_range_slice(builder, start, n, step, intp=index) as (first, _):
        for r, products in enumerate(_emit_products(builder, first, width, points, words)):
            point = builder.add(first, ir.Constant(index, r))
            length = spread(builder, builder.load(builder.gep(lengths, [point])), LANES)
            distances = []
            for v, product in enumerate(products):
                offset = ir.Constant(index, v * LANES)
                word_length = builder.load(vector_at(builder, word_lengths, offset, element, LANES), align=4)
                square = builder.fsub(builder.fadd(length, word_length), builder.fmul(two, product))
                distances.append(_square_root(builder, square))
                place = builder.add(builder.mul(point, ir.Constant(index, BLOCK)), offset)
                builder.store(distances[-1], vector_at(builder, values, place, element, LANES), align=4)
            place = builder.gep(sums, [point])
            builder.store(builder.fadd(builder.load(place), total(builder, distances)), place)


def _square_root(builder, square):
    """Emit a square root that is accurate to a few units in the last place; numbers below 1e-30 count as 1e-30.

    It is computed from the reciprocal root by one Newton step. The square root instruction is slower: it would take a third as
    long as the product.
    """
    from llvmlite import ir

    vector, mask = square.type, ir.IntType(16)
    root = cgutils.get_or_insert_function(
        builder.module, ir.FunctionType(vector, [vector, vector, mask]), "llvm.x86.avx512.rsqrt14.ps.512"
    )
    fma = cgutils.get_or_insert_function(builder.module, ir.FunctionType(vector, [vector] * 3), f"llvm.fma.v{LANES}f32")
    least, half = (ir.Constant(vector, [number] * LANES) for number in (float(np.float32(1e-30)), 0.5))
    square = builder.select(builder.fcmp_ordered(">", square, least), square, least)
    inverse = builder.call(root, (square, least, ir.Constant(mask, -1)))
    guess = builder.fmul(square, inverse)
    error = builder.call(fma, (builder.fneg(guess), builder.fmul(half, inverse), half))
    return builder.call(fma, (guess, error, guess))


# Allow sums to be reordered, because vector instructions require this.
@part(fastmath={"reassoc", "contract", "nsz"})
def _squared_lengths(rows, lengths):
    for i in range(rows.shape[0]):
        length = np.float32(0.0)
        for f in range(rows.shape[1]):
            length += rows[i, f] * rows[i, f]
        lengths[i] = length


@part(fastmath={"reassoc", "contract", "nsz"})
def _add_nearness(values, means, cells, sums):
    """Add max(0, mean distance - distance) of each word of a block to the row of the point's cell."""
    wide_vectors()
    none = np.float32(0.0)
    for i in range(values.shape[0]):
        row, mean = sums[cells[i]], means[i]
        for j in range(BLOCK):
            row[j] += larger(none, mean - values[i, j])


@njit(**LOOP)
def triangle_code_by_dot(points, words, cells, pooled):
    """For each cell and word, sum max(0, mean distance to all words - distance to the word) over the points of the cell.

    IN points (n, d) float32 or uint8, words (k, d) float32, cells (n,) int64; OUT pooled (n_cells, k) float32.
    """
    wide_vectors()
    n, d = points.shape
    k, n_cells = words.shape[0], pooled.shape[0]
    n_blocks = -(-k // BLOCK)
    blocks = np.empty((n_blocks, d, BLOCK), np.float32)
    _in_blocks(words, blocks)
    # Words that pad the last block get distance 0, so they do not change the means.
    word_lengths = np.empty(n_blocks * BLOCK, np.float32)
    word_lengths[:] = np.float32(-np.inf)
    _squared_lengths(words, word_lengths[:k])
    pools = np.empty((n_blocks, n_cells, BLOCK), np.float32)
    pools[:] = np.float32(0.0)
    most = larger(1, ROOM // larger(d, n_blocks * BLOCK) // POINTS_AT_ONCE) * POINTS_AT_ONCE
    size = larger(1, smaller(most, -(-n // POINTS_AT_ONCE) * POINTS_AT_ONCE))
    tile, tile_cells = np.empty((size, d), np.float32), np.empty(size, np.int64)
    values, sums, lengths = (
        np.empty((n_blocks, size, BLOCK), np.float32),
        np.empty(size, np.float32),
        np.empty(size, np.float32),
    )
    for start in range(0, n, size):
        m = _load(points, cells, start, tile, tile_cells)
        _squared_lengths(tile[:m], lengths)
        sums[:] = 0
        for b in range(n_blocks):
            lengths_here = word_lengths[b * BLOCK : b * BLOCK + BLOCK]
            add_distances(tile[:m], blocks[b], lengths[:m], lengths_here, values[b, :m], sums[:m])
        for i in range(m):
            sums[i] /= np.float32(k)
        filled = smaller(m, n - start)
        for b in range(n_blocks):
            _add_nearness(values[b, :filled], sums, tile_cells, pools[b])
    for b in range(n_blocks):
        first = b * BLOCK
        for c in range(n_cells):
            for j in range(smaller(BLOCK, k - first)):
                pooled[c, first + j] = pools[b, c, j]
