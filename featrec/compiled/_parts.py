"""Options of compiled loops, and the parts that are compiled into them.

A numba function that another one calls is optimised on its own first and again in every caller, and it gets a cache entry that
nobody reads. A part has neither: it is compiled into the loop that calls it, once.

Arrays passed to one part must not overlap; the compiler relies on that. A part returns nothing unless its type is given. The
cache of a loop does not notice changes to parts, hints or vector code in other files. Give changed code a new name there.
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

# Loops are not called from C, and an entry for C takes 10 to 30 ms to compile.
LOOP: dict[str, Any] = {
    "nogil": True,
    "cache": True,
    "error_model": "numpy",
    "no_cfunc_wrapper": True,
}
COMPILED: bool = not config.DISABLE_JIT  # type: ignore[attr-defined]  # numba sets its settings at import
OPTIONS = {"nopython": True, "error_model": "numpy", "no_cpython_wrapper": True, "no_cfunc_wrapper": True}
# For each library of code, the parts already compiled into it: two calls of a part are two calls of one function.
descriptions: WeakKeyDictionary[Any, dict[Any, Any]] = WeakKeyDictionary()


def part(*, returns: Any = types.void, fastmath: Any = False) -> Callable[[Any], Any]:
    """Decorate a function that only compiled loops call."""

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
        # The function is removed once it has been copied into all callers.
        library._final_module.get_function(made.fndesc.llvm_func_name).linkage = "linkonce_odr"
    return known[key]


# Hints to the compiler. They do not change results.


def _hint(attribute: str) -> Any:
    """Set an attribute of the LLVM function that calls this."""

    @intrinsic
    def hint(typing_context):
        def generate(context, builder, signature, arguments):
            # The method of llvmlite refuses attributes that it does not know.
            set.add(builder.function.attributes, attribute)
            return context.get_dummy_value()

        return types.void(), generate

    return hint


def _nothing():
    """Replace the hints when nothing is compiled."""


# Vectors of 512 bits if the processor has them: LLVM prefers 256 bits on most processors with AVX-512.
wide_vectors: Any = _hint('"prefer-vector-width"="512"') if COMPILED else _nothing
# In a part: it is called instead of copied into its caller, which would take longer to optimise.
stay_apart: Any = _hint("noinline") if COMPILED else _nothing
# In a loop whose time does not matter: no unrolling and no special cases, so it compiles in half the time.
small_code: Any = _hint("optsize") if COMPILED else _nothing


# Python's min and max are compiled as separate functions for each type; these are not. Ties and NaN give the first argument.


def _chosen(first, second, sign):
    """The second argument if it compares as `sign` says with the first, else the first; None if their types differ."""
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


# LLVM code over vectors, for the intrinsics of other files.


def spread(builder, value, lanes):
    """A vector with one number in all lanes."""
    from llvmlite import ir

    index = ir.IntType(32)
    undefined = ir.Constant(ir.VectorType(value.type, lanes), ir.Undefined)
    first = builder.insert_element(undefined, value, ir.Constant(index, 0))
    return builder.shuffle_vector(first, undefined, ir.Constant(ir.VectorType(index, lanes), [0] * lanes))


def vector_at(builder, pointer, offset, kind, lanes):
    """A pointer to the vector of `lanes` numbers of type `kind` that begins at an offset."""
    from llvmlite import ir

    return builder.bitcast(builder.gep(pointer, [offset]), ir.VectorType(kind, lanes).as_pointer())


def least(builder, left, right):
    """The smaller number in each lane."""
    return builder.select(builder.fcmp_ordered("<", left, right), left, right)


def total(builder, vectors):
    """The sum over all lanes of all vectors; the number of vectors is a power of two."""
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
