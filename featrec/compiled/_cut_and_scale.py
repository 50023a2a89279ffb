"""The last step of a SIFT descriptor, in registers.

The cache of compiled loops does not see changes in here, so a new meaning gets a new name.
"""

from typing import Any

import numpy as np
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from featrec.compiled._options import COMPILED
from featrec.compiled._vectors import least, spread, total, vector_at


@intrinsic
def _cut_and_scale(typing_context, cells, bins, weights, cut, unit, most, half, out, start):
    """All 128 numbers stay in registers between the two lengths; a loop for each costs twice as much."""

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
    """The same without the compiler."""
    rows, first = bins[:4], bins[4]
    values = np.minimum(weights * np.stack([cells[row, first : first + 32] for row in rows]), cut).ravel()
    length = np.sqrt(np.float32((values * values).sum()))
    scale = unit / length if length > 0 else np.float32(0)
    out[start : start + 128] = np.minimum(values * scale, most) + half


# One channel of a descriptor: weighed, cut, brought to the length `unit`, as it is stored.
cut_and_scale: Any = _cut_and_scale if COMPILED else _plain_cut_and_scale


def _emit(builder, cells, bins, weights, numbers, out, bytes_out):
    """Write the code: eight vectors of sixteen, which processors with shorter ones take in parts."""
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
