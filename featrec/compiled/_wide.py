"""A hint to the compiler: vectors of 512 bits, where the processor has them, pay off in the loop that asks for them.

By itself LLVM keeps to 256 bits on most processors with AVX-512. The loops of other files ask for this one hint; it says
nothing about results, so that a stale cache does no harm.
"""

from numba import types
from numba.extending import intrinsic, overload


@intrinsic
def _prefer_wide(typing_context):
    def generate(context, builder, signature, arguments):
        # llvmlite's own method takes the attributes it knows, and this is none of them.
        set.add(builder.function.attributes, '"prefer-vector-width"="512"')
        return context.get_dummy_value()

    return types.void(), generate


def wide_vectors():
    """Let the calling loop be compiled for vectors of 512 bits."""


@overload(wide_vectors, inline="always")
def _compiled_wide_vectors():
    return lambda: _prefer_wide()  # type: ignore[call-arg]
