"""Search for the nearest word by dot products that are computed in registers, with VNNI for bytes and AVX-512 for float32.

Each vector lane holds one point, with 64 points per block. Six words are processed together, so the sums of a block stay in
registers during the loop over the features. VNNI multiplies four features per lane, and multiplies unsigned by signed bytes, so
128 is subtracted from the words: x·w = x·(w - 128) + 128 Σx. The last term is the same for all words. Products of float32 take
a sixth less time than with OpenBLAS, which packs every tile of points again. On other processors, BLAS is used (`_kmeans`).
"""

from functools import cache
from typing import Any

import numpy as np
from numba import config, njit, types
from numba.core import cgutils
from numba.core.registry import cpu_target
from numba.extending import intrinsic

from featrec.compiled._parts import COMPILED, LOOP, smaller, spread, vector_at, wide_vectors

LANES = 64
WORDS_AT_ONCE = 6
# Maximum number of words whose distances to a block fit into the second-level cache; a multiple of six.
WORDS = 1020
# Maximum number of features for which |w|² - 2 x·(w - 128) fits into 32 bits.
LARGEST_WIDTH = 16_000


def has_integer_dot():
    """Return whether the processor that numba compiles for has VNNI; numba's settings may name another processor."""
    return COMPILED and _lanes_here(types.uint32, *_target()) > 0


def has_float_dot():
    """Return whether the processor that numba compiles for has AVX-512."""
    return COMPILED and _lanes_here(types.float32, *_target()) > 0


def _target():
    """Return numba's settings for the target processor."""
    return vars(config)["CPU_NAME"], vars(config)["CPU_FEATURES"]


@cache
def _lanes_here(kind, *settings):
    """The result is cached because it is needed for every image, and LLVM takes 40 µs to describe the processor."""
    return _vector_lanes(cpu_target.target_context, kind)


def _vector_lanes(context, kind):
    """Return the number of sums per instruction: 16 with AVX-512, 8 with AVX-VNNI, 0 with neither."""
    features = context.codegen().magic_tuple()[2].split(",")
    if kind == types.float32:
        return 16 if "+avx512f" in features else 0
    return 16 if "+avx512vnni" in features else 8 if "+avxvnni" in features else 0


@intrinsic
def _multiply_add(typing_context, points, words, norms, first, values):
    def generate(context, builder, signature, arguments):
        points, words, norms, values = (
            context.make_array(signature.args[at])(context, builder, arguments[at]) for at in (0, 1, 2, 4)
        )
        groups = cgutils.unpack_tuple(builder, points.shape, 2)[0]
        kind, first = signature.args[0].dtype, arguments[3]
        words_from = builder.gep(words.data, [builder.mul(first, groups)])
        norms_from = builder.gep(norms.data, [first])
        _emit(builder, kind, _vector_lanes(context, kind), groups, points.data, words_from, norms_from, values.data)
        return context.get_dummy_value()

    return types.void(points, words, norms, types.intp, values), generate


def _emit(builder, kind, lanes, groups, points, words, norms, values):
    """Emit LLVM code for a block of points; 24 or 12 vectors of sums stay in registers during the loop over the features."""
    from llvmlite import ir

    index = ir.IntType(64)
    element = ir.FloatType() if kind == types.float32 else ir.IntType(32)
    vector = ir.VectorType(element, lanes)
    per_point = 4 if lanes == 16 else 2
    # LLVM uses the same name for the instructions of AVX512-VNNI and AVX-VNNI.
    name = f"llvm.fma.v{lanes}f32" if kind == types.float32 else f"llvm.x86.avx512.vpdpbusd.{32 * lanes}"
    instruction = cgutils.get_or_insert_function(builder.module, ir.FunctionType(vector, [vector] * 3), name)
    points, words, norms, values = (builder.bitcast(p, element.as_pointer()) for p in (points, words, norms, values))
    none = ir.Constant(vector, [0] * lanes)

    def place(pointer, offset):
        return builder.gep(pointer, [offset if isinstance(offset, ir.Value) else ir.Constant(index, offset)])

    def multiply_add(total, point, factor):
        order = (point, factor, total) if kind == types.float32 else (total, point, factor)
        return builder.call(instruction, order)

    def less_what_is_shared(norm, total):
        if kind == types.float32:
            return builder.fsub(norm, total)
        return builder.sub(norm, builder.shl(total, ir.Constant(vector, [1] * lanes)))

    def numbers_at(pointer, offset):
        return vector_at(builder, pointer, offset, element, lanes)

    for start in range(0, LANES, lanes * per_point):
        sums = [[cgutils.alloca_once(builder, vector) for _ in range(per_point)] for _ in range(WORDS_AT_ONCE)]
        for totals in sums:
            for total in totals:
                builder.store(none, total)
        with cgutils.for_range(builder, groups, intp=index) as loop:
            row = builder.add(builder.mul(loop.index, ir.Constant(index, LANES)), ir.Constant(index, start))
            loaded = [
                builder.load(
                    vector_at(builder, points, builder.add(row, ir.Constant(index, v * lanes)), element, lanes), align=4
                )
                for v in range(per_point)
            ]
            for r, totals in enumerate(sums):
                place_in_word = builder.add(builder.mul(groups, ir.Constant(index, r)), loop.index)
                factor = spread(builder, builder.load(place(words, place_in_word)), lanes)
                for total, point in zip(totals, loaded, strict=True):
                    builder.store(multiply_add(builder.load(total), point, factor), total)
        for r, totals in enumerate(sums):
            norm = spread(builder, builder.load(place(norms, r)), lanes)
            for v, total in enumerate(totals):
                target = numbers_at(values, ir.Constant(index, r * LANES + start + v * lanes))
                builder.store(less_what_is_shared(norm, builder.load(total)), target, align=4)


def _plain_distances(points, words, norms, first, values):
    words, norms = words[first : first + WORDS_AT_ONCE], norms[first : first + WORDS_AT_ONCE]
    if points.dtype == np.float32:
        values[:] = norms[:, None] - words @ points
        return
    lanes = np.ascontiguousarray(points.T).view(np.uint8).astype(np.int32)
    values[:] = norms[:, None] - 2 * words.view(np.int8).astype(np.int32) @ lanes.T


# Compute the distances between a block of points and six words, without terms that are the same for all words:
# |w|² - 2 x·(w - 128) for bytes, |w|²/2 - x·w for float32.
distances_less_shared: Any = _multiply_add if COMPILED else _plain_distances


def nearest_by_dot(points, words, norms, farthest, nearest, distances):
    """Find the index of the nearest word of each point; if several words are equally near, the first is used.

    For float32, IN points (n, d), words (k, d), norms (k,) float32. The norms are half the squared lengths of the words. For
    bytes, IN points (n, groups) uint32 of four bytes, words (k, groups) int32 of four bytes minus 128, norms (k,) int32. The
    norms are the squared lengths of the words before 128 is subtracted. In both cases, k is a multiple of six, and `farthest`
    is the largest value of the type of the norms. OUT nearest (n,) int32, distances (n,) of the same type, without terms that
    are the same for all words.
    """
    smallest, best = np.empty((2, LANES), norms.dtype)
    block, places = np.zeros((points.shape[1], LANES), points.dtype), np.zeros(LANES, np.int32)
    values = np.empty((min(len(words), WORDS), LANES), norms.dtype)
    nearest[:] = 0
    nearest_in_blocks(points, words, norms, farthest, block, values, smallest, best, places, nearest, distances)


@njit(**LOOP)
def nearest_in_blocks(points, words, norms, farthest, block, values, smallest, best, places, nearest, distances):
    """Like `nearest_by_dot`, with work space.

    Work space: block (groups, 64), which must be zero, values (at most 1020 words, 64), smallest, best and places (64,).
    """
    wide_vectors()
    n, groups = points.shape
    k = words.shape[0]
    for start in range(0, n, LANES):
        m = smaller(LANES, n - start)
        for i in range(m):
            for g in range(groups):
                block[g, i] = points[start + i, g]
        for i in range(LANES):
            smallest[i] = farthest
        for first in range(0, k, WORDS):
            for i in range(LANES):
                best[i] = farthest
            for j in range(0, smaller(WORDS, k - first), WORDS_AT_ONCE):
                row = values[j : j + WORDS_AT_ONCE]
                distances_less_shared(block, words, norms, first + j, row)
                place = np.int32(j)
                for i in range(LANES):
                    low = smaller(smaller(row[0, i], row[1, i]), row[2, i])
                    value = smaller(low, smaller(smaller(row[3, i], row[4, i]), row[5, i]))
                    closer = value < best[i]
                    places[i] = place if closer else places[i]
                    best[i] = value if closer else best[i]
            for i in range(m):
                if best[i] < smallest[i]:
                    j = places[i]
                    while values[j, i] != best[i]:
                        j += 1
                    smallest[i] = best[i]
                    nearest[start + i] = np.int32(first + j)
        for i in range(m):
            distances[start + i] = smallest[i]
