"""Options for compiled loops, and a decorator for parts: functions that are compiled into loops.

A numba function that is called by other numba functions is first optimised alone, then again in every caller; it also gets a
cache entry that is never used. In contrast, a part is compiled only once, in the loop that calls it, and it gets no cache
entry.

Arrays that are passed to the same part must not overlap, because the compiler assumes this. A part returns a value only if
`returns` is set. numba's cache does not notice changes to code outside the file of a loop. If you change a part, or change a
hint or vector code that it uses in another file, rename the part as well.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any
from weakref import WeakKeyDictionary

from numba import config, types
from numba.core.compiler import Flags, compile_internal
from numba.core.registry import cpu_target
from numba.extending import intrinsic

# No C entry point is compiled: loops are never called from C, and compiling one takes 10 to 30 ms.
LOOP: dict[str, Any] = {
    "nogil": True,
    "cache": True,
    "error_model": "numpy",
    "no_cfunc_wrapper": True,
}
COMPILED: bool = not config.DISABLE_JIT  # type: ignore[attr-defined]  # numba sets its settings at import
OPTIONS = {"nopython": True, "error_model": "numpy", "no_cpython_wrapper": True, "no_cfunc_wrapper": True}
# Parts that are already compiled, keyed by the code library that contains them. Further calls of a part use the same function.
descriptions: WeakKeyDictionary[Any, dict[Any, Any]] = WeakKeyDictionary()


def part(*, returns: Any = types.void, fastmath: Any = False) -> Callable[[Any], Any]:
    """Decorate a function that is only called by compiled loops."""

    def decorate(function: Any) -> Any:
        if not COMPILED:
            return function

        def typed(typing_context: Any, *arguments: Any) -> Any:
            def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
                description = _described(context, function, signature, fastmath)
                return context.call_internal_no_propagate(builder, description, signature, values)[1]

            return returns(*arguments), generate

        own = inspect.signature(function)
        context = inspect.Parameter("typing_context", inspect.Parameter.POSITIONAL_OR_KEYWORD)
        typed.__signature__ = own.replace(parameters=[context, *own.parameters.values()])  # type: ignore[attr-defined]
        typed.__name__, typed.__doc__, typed.__module__ = function.__name__, function.__doc__, function.__module__
        return intrinsic(typed)

    return decorate


def _described(context: Any, function: Any, signature: Any, fastmath: Any) -> Any:
    library = context.active_code_library
    known = descriptions.setdefault(library, {})
    key = function, signature.args
    if key not in known:
        flags: Any = Flags()
        cpu_target.options.parse_as_flags(flags, OPTIONS | {"fastmath": fastmath})
        flags.no_compile = flags.noalias = True
        made = compile_internal(
            cpu_target.typing_context, context, library, function, signature.args, signature.return_type, flags, {}
        )
        known[key] = made.fndesc
        # LLVM removes the function after copying it into all callers.
        library._final_module.get_function(made.fndesc.llvm_func_name).linkage = "linkonce_odr"
    return known[key]


# Compiler hints that do not change results.


def _hint(attribute: str) -> Any:
    """Return a function that sets an attribute of the LLVM function in which it is called."""

    @intrinsic
    def hint(typing_context):
        def generate(context, builder, signature, arguments):
            # llvmlite's own method rejects attributes that it does not know.
            set.add(builder.function.attributes, attribute)
            return context.get_dummy_value()

        return types.void(), generate

    return hint


def _nothing():
    """Do nothing; this is used instead of a hint if numba is disabled."""


# This hint requests vectors of 512 bits if the processor has AVX-512. By default, LLVM uses 256 bits on most such processors.
wide_vectors: Any = _hint('"prefer-vector-width"="512"') if COMPILED else _nothing
# This hint is for a part that should be called, not copied into its caller, because a copy would take longer to optimise.
stay_apart: Any = _hint("noinline") if COMPILED else _nothing
# This hint is for a loop whose run time does not matter. Without unrolling and special cases, the loop compiles in half the
# time.
small_code: Any = _hint("optsize") if COMPILED else _nothing


# Minimum and maximum without the overhead of Python's min and max, which are compiled as a separate function for each type. If
# the arguments are equal, or one of them is NaN, the result is the first argument.


def _chosen(first, second, sign):
    """Return code for `second if second <sign> first else first`, or None if the types differ."""
    if first != second or not isinstance(first, (types.Integer, types.Float)):
        return None

    def generate(context, builder, signature, arguments):
        one, other = arguments
        if isinstance(first, types.Float):
            compared = builder.fcmp_ordered(sign, other, one)
        elif first.signed:  # type: ignore[attr-defined]  # numba's Integer has it
            compared = builder.icmp_signed(sign, other, one)
        else:
            compared = builder.icmp_unsigned(sign, other, one)
        return builder.select(compared, other, one)

    return first(first, second), generate


@intrinsic
def _smaller(typing_context, first, second):
    return _chosen(first, second, "<")


@intrinsic
def _larger(typing_context, first, second):
    return _chosen(first, second, ">")


smaller: Any = _smaller if COMPILED else min
larger: Any = _larger if COMPILED else max


# Vector LLVM code, used by intrinsics in other files.


def spread(builder, value, lanes):
    from llvmlite import ir

    index = ir.IntType(32)
    undefined = ir.Constant(ir.VectorType(value.type, lanes), ir.Undefined)
    first = builder.insert_element(undefined, value, ir.Constant(index, 0))
    return builder.shuffle_vector(first, undefined, ir.Constant(ir.VectorType(index, lanes), [0] * lanes))


def vector_at(builder, pointer, offset, kind, lanes):
    """Emit a pointer to the vector of `lanes` values of type `kind` that begins at an offset."""
    from llvmlite import ir

    return builder.bitcast(builder.gep(pointer, [offset]), ir.VectorType(kind, lanes).as_pointer())


def least(builder, left, right):
    return builder.select(builder.fcmp_ordered("<", left, right), left, right)


def total(builder, vectors):
    """Emit the sum over all lanes of all vectors; the number of vectors must be a power of two."""
    from llvmlite import ir

    while len(vectors) > 1:
        vectors = [builder.fadd(left, right) for left, right in zip(vectors[::2], vectors[1::2], strict=True)]
    index, (whole,) = ir.IntType(32), vectors
    lanes = whole.type.count
    step = lanes // 2
    while step:
        order = ir.Constant(ir.VectorType(index, lanes), [(lane + step) % lanes for lane in range(lanes)])
        whole = builder.fadd(whole, builder.shuffle_vector(whole, whole, order))
        step //= 2
    return builder.extract_element(whole, ir.Constant(index, 0))
