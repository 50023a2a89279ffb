"""Parts of the mixture loops that compute in registers: products of a panel, and posteriors of points.

A panel consists of 32 adjacent components, in two vectors of 16. Processors without AVX-512 process half of the rows and half
of the lanes at a time. If you change a function in this file, also rename it, because numba's cache does not notice changes
here.
"""

from contextlib import contextmanager

import numpy as np
from numba import config, types
from numba.core import cgutils
from numba.extending import intrinsic

from featrec.compiled._parts import spread, vector_at

PANEL, LANES = 32, 16
# Number of rows of sums, and number of points, that are processed together.
ROWS, POINTS = 10, 8
# Posteriors below 2 ** -40 are set to 0, because denormal numbers make the products many times slower.
LEAST_EXPONENT, LOWEST = -40.0, -100.0
# Adding 1.5 * 2 ** 23 to x puts the nearest integer into the lowest bits; a shift then moves it into the exponent.
MAGIC = 12582912.0
# Coefficients of a polynomial that approximates 2 ** r for r from -0.5 to 0.5, accurate to two units in the last place.
POWER = (1.5403530e-4, 1.3333558e-3, 9.6181291e-3, 5.5504109e-2, 2.4022651e-1, 6.9314718e-1, 1.0)


def add_products(factors, first, row_step, step, count, lanes, place, start, start_place, start_step, sums, target):
    """Compute ten rows of sums for a panel: start with the given row, and in each step add a factor times a row of lanes.

    All arrays are vectors of float32. The factor for row r and step s is at first + r * row_step + s * step in `factors` (IN).
    The 32 lanes of the first step begin at `place` in `lanes` (IN), and those of further steps follow. The start of row r
    consists of the 32 values from start_place + r * start_step in `start` (IN). The ten rows of 32 results are written to
    `sums` (OUT), starting at `target`.
    """
    factor_places = first + row_step * np.arange(ROWS)[:, None] + step * np.arange(count)
    start_places = start_place + start_step * np.arange(ROWS)[:, None] + np.arange(PANEL)
    products = factors[factor_places] @ lanes[place : place + count * PANEL].reshape(count, PANEL)
    sums[target : target + ROWS * PANEL] = (start[start_places] + products).ravel()


def share_points(logs, stride, panels, count, masses, mass_place, mass_step, peaks, totals, place):
    """Convert base-2 logarithms of densities under all components to posteriors.

    All arrays are vectors of float32. In `logs` (IN and OUT), the 32 values of point i in panel p begin at p * stride + 32 * i.
    The posteriors are added to `masses` (IN and OUT), in which the 32 values of panel p begin at mass_place + p * mass_step.
    From `place` on, `peaks` (OUT) contains the largest logarithm of each point, and `totals` (OUT) contains the sum of the
    point's densities, divided by the largest density.
    """
    places = (stride * np.arange(panels)[:, None] + np.arange(PANEL)).ravel() + PANEL * np.arange(count)[:, None]
    values = logs[places]
    peak = values.max(axis=1)
    exponents = np.maximum(values - peak[:, None], np.float32(LOWEST))
    shares = np.where(exponents >= LEAST_EXPONENT, np.exp2(exponents), np.float32(0))
    total = shares.sum(axis=1)
    peaks[place : place + count], totals[place : place + count] = peak, total
    logs[places] = shares / total[:, None]
    masses[(mass_place + mass_step * np.arange(panels)[:, None] + np.arange(PANEL)).ravel()] += logs[places].sum(axis=0)


@intrinsic
def _add_products(
    typing_context, factors, first, row_step, step, count, lanes, place, start, start_place, start_step, sums, target
):
    given = factors, first, row_step, step, count, lanes, place, start, start_place, start_step, sums, target

    def generate(context, builder, signature, arguments):
        wide = "+avx512f" in context.codegen().magic_tuple()[2].split(",")
        factors, lanes, start, sums = _pointers(context, builder, signature, arguments, {0: 1, 5: 6, 7: 8, 10: 11})
        row_step, step, count, start_step = (_index(context, builder, signature, arguments, at) for at in (2, 3, 4, 9))
        function = _function(builder.module, "featrec_add_products_1", 4, 4, lambda *parts: _emit_products(wide, *parts))
        builder.call(function, [factors, lanes, start, sums, row_step, step, count, start_step])
        return context.get_dummy_value()

    return types.void(*given), generate


@intrinsic
def _share_points(typing_context, logs, stride, panels, count, masses, mass_place, mass_step, peaks, totals, place):
    given = logs, stride, panels, count, masses, mass_place, mass_step, peaks, totals, place

    def generate(context, builder, signature, arguments):
        pointers = _pointers(context, builder, signature, arguments, {0: None, 4: 5, 7: 9, 8: 9})
        numbers = [_index(context, builder, signature, arguments, at) for at in (1, 2, 3, 6)]
        function = _function(builder.module, "featrec_share_points_1", 4, 4, _emit_shares)
        builder.call(function, [*pointers, *numbers])
        return context.get_dummy_value()

    return types.void(*given), generate


def _index(context, builder, signature, arguments, at):
    return context.cast(builder, arguments[at], signature.args[at], types.intp)


def _pointers(context, builder, signature, arguments, places):
    """Return a pointer into each array, at the offset given by another argument, or at the start."""
    found = []
    for at, offset in places.items():
        array = context.make_array(signature.args[at])(context, builder, arguments[at])
        step = [] if offset is None else [_index(context, builder, signature, arguments, offset)]
        found.append(builder.gep(array.data, step) if step else array.data)
    return found


def _function(module, name, n_pointers, n_numbers, emit):
    """Emit a separate function, so code with two callers is compiled only once."""
    from llvmlite import ir

    if name in module.globals:
        return module.globals[name]
    arguments = [ir.FloatType().as_pointer()] * n_pointers + [ir.IntType(64)] * n_numbers
    function = ir.Function(module, ir.FunctionType(ir.VoidType(), arguments), name)
    function.linkage = "internal"
    function.attributes.add("noinline")
    builder = ir.IRBuilder(function.append_basic_block())
    emit(builder, *function.args)
    builder.ret_void()
    return function


def _emit_products(wide, builder, factors, lanes, start, sums, row_step, step, count, start_step):
    """Emit LLVM code that computes 20 sums of 16 lanes in registers, or four groups of 10 sums of 8 lanes."""
    from llvmlite import ir

    index, single = ir.IntType(64), ir.FloatType()
    width, rows = (LANES, ROWS) if wide else (LANES // 2, ROWS // 2)
    vector = ir.VectorType(single, width)
    fused = cgutils.get_or_insert_function(builder.module, ir.FunctionType(vector, [vector] * 3), f"llvm.fmuladd.v{width}f32")

    def number(value):
        return ir.Constant(index, value)

    def load(pointer, offset):
        return builder.load(vector_at(builder, pointer, offset, single, width), align=4)

    for top in range(0, ROWS, rows):
        for left in range(0, PANEL, 2 * width):
            columns = [number(left), number(left + width)]
            totals = [[cgutils.alloca_once(builder, vector) for _ in columns] for _ in range(rows)]
            for r, row in enumerate(totals):
                offset = builder.mul(start_step, number(top + r))
                for column, total in zip(columns, row, strict=True):
                    builder.store(load(start, builder.add(offset, column)), total)
            with cgutils.for_range(builder, count, intp=index) as loop:
                line = builder.mul(loop.index, number(PANEL))
                loaded = [load(lanes, builder.add(line, column)) for column in columns]
                along = builder.mul(loop.index, step)
                for r, row in enumerate(totals):
                    at = builder.add(builder.mul(row_step, number(top + r)), along)
                    factor = spread(builder, builder.load(builder.gep(factors, [at])), width)
                    for lane, total in zip(loaded, row, strict=True):
                        builder.store(builder.call(fused, [factor, lane, builder.load(total)]), total)
            for r, row in enumerate(totals):
                for column, total in zip(columns, row, strict=True):
                    target = vector_at(builder, sums, builder.add(number(PANEL * (top + r)), column), single, width)
                    builder.store(builder.load(total), target, align=4)


def _emit_shares(builder, logs, masses, peaks, totals, stride, panels, count, mass_step):
    """Emit LLVM code for eight points in three passes over their vectors: maxima, powers and their sums, then quotients.

    With eight points, the processor sums the lanes of one point while it computes the powers of another.
    """
    from llvmlite import ir

    index, single = ir.IntType(64), ir.FloatType()
    vector, whole = ir.VectorType(single, LANES), ir.VectorType(ir.IntType(32), LANES)

    def alike(value, kind=vector):
        return ir.Constant(kind, [value] * LANES)

    def most(left, right):
        return builder.select(builder.fcmp_ordered(">", left, right), left, right)

    def joined(join, vectors):
        """Combine all lanes of both vectors; every lane of the result contains the combined value."""
        value = join(*(builder.load(each) for each in vectors))
        for shift in (8, 4, 2, 1):
            order = ir.Constant(whole, [(lane + shift) % LANES for lane in range(LANES)])
            value = join(value, builder.shuffle_vector(value, value, order))
        return value

    def vectors_at(pointer, offset):
        offsets = [builder.add(offset, ir.Constant(index, left)) for left in (0, LANES)]
        return [vector_at(builder, pointer, place, single, LANES) for place in offsets]

    def started(value):
        found = [cgutils.alloca_once(builder, vector) for _ in range(2)]
        for each in found:
            builder.store(alike(value), each)
        return found

    def keep(value, pointer, point):
        builder.store(builder.extract_element(value, ir.Constant(ir.IntType(32), 0)), builder.gep(pointer, [point]))

    @contextmanager
    def each_vector(point):
        """Yield pointers to the vectors of the point, panel by panel."""
        first = builder.mul(point, ir.Constant(index, PANEL))
        with cgutils.for_range(builder, panels, intp=index) as loop:
            yield loop.index, vectors_at(logs, builder.add(first, builder.mul(loop.index, stride)))

    with cgutils.for_range_slice(builder, ir.Constant(index, 0), count, ir.Constant(index, POINTS), intp=index) as (start, _):
        beyond = builder.add(start, ir.Constant(index, POINTS))
        stop = builder.select(builder.icmp_signed("<", beyond, count), beyond, count)
        number = builder.sub(stop, start)
        with cgutils.for_range(builder, number, intp=index) as points:
            point, best = builder.add(start, points.index), started(-3e38)
            with each_vector(point) as (_, places):
                for place, each in zip(places, best, strict=True):
                    builder.store(most(builder.load(place, align=4), builder.load(each)), each)
            keep(joined(most, best), peaks, point)
        with cgutils.for_range(builder, number, intp=index) as points:
            point, total = builder.add(start, points.index), started(0.0)
            peak = spread(builder, builder.load(builder.gep(peaks, [point])), LANES)
            with each_vector(point) as (_, places):
                for place, each in zip(places, total, strict=True):
                    share = _share(builder, most(builder.fsub(builder.load(place, align=4), peak), alike(LOWEST)), alike, whole)
                    builder.store(share, place, align=4)
                    builder.store(builder.fadd(builder.load(each), share), each)
            keep(joined(builder.fadd, total), totals, point)
        with cgutils.for_range(builder, number, intp=index) as points:
            point = builder.add(start, points.index)
            total = builder.load(builder.gep(totals, [point]))
            scale = spread(builder, builder.fdiv(ir.Constant(single, 1.0), total), LANES)
            with each_vector(point) as (panel, places):
                for place, target in zip(places, vectors_at(masses, builder.mul(panel, mass_step)), strict=True):
                    share = builder.fmul(builder.load(place, align=4), scale)
                    builder.store(share, place, align=4)
                    builder.store(builder.fadd(builder.load(target, align=4), share), target, align=4)


def _share(builder, exponent, alike, whole):
    """Emit 2 ** exponent, or 0 if the exponent is too small."""
    from llvmlite import ir

    vector = exponent.type
    fused = cgutils.get_or_insert_function(builder.module, ir.FunctionType(vector, [vector] * 3), f"llvm.fmuladd.v{LANES}f32")
    shifted = builder.fadd(exponent, alike(MAGIC))
    rest = builder.fsub(exponent, builder.fsub(shifted, alike(MAGIC)))
    power = alike(POWER[0])
    for coefficient in POWER[1:]:
        power = builder.call(fused, [power, rest, alike(coefficient)])
    raised = builder.shl(builder.bitcast(shifted, whole), alike(23, whole))
    share = builder.bitcast(builder.add(builder.bitcast(power, whole), raised), vector)
    return builder.select(builder.fcmp_ordered(">=", exponent, alike(LEAST_EXPONENT)), share, alike(0.0))


# The intrinsics replace the functions above; overloads would be compiled separately for each call.
if not config.DISABLE_JIT:  # type: ignore[attr-defined]  # numba sets its settings at import
    add_products, share_points = _add_products, _share_points  # type: ignore[assignment]
