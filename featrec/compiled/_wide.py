"""Hints to the compiler. Vectors of 512 bits, where the processor has them, pay off in the loop that asks for them.

By itself LLVM keeps to 256 bits on most processors with AVX-512. The loops of other files ask for these hints; they say
nothing about results, so that a stale cache does no harm.
"""

from typing import Any

from numba import types
from numba.extending import intrinsic

from featrec.compiled._options import COMPILED


@intrinsic
def _prefer_wide(typing_context):
    def generate(context, builder, signature, arguments):
        # llvmlite's own method takes the attributes it knows, and this is none of them.
        set.add(builder.function.attributes, '"prefer-vector-width"="512"')
        return context.get_dummy_value()

    return types.void(), generate


@intrinsic
def _keep_apart(typing_context):
    def generate(context, builder, signature, arguments):
        set.add(builder.function.attributes, "noinline")
        return context.get_dummy_value()

    return types.void(), generate


@intrinsic
def _prefer_small(typing_context):
    def generate(context, builder, signature, arguments):
        set.add(builder.function.attributes, "optsize")
        return context.get_dummy_value()

    return types.void(), generate


def _nothing():
    """Without the compiler there is nothing to hint at."""


# Called "wide_vectors()" in a loop. An overload would be compiled as a function of its own, for each file.
wide_vectors: Any = _prefer_wide if COMPILED else _nothing
# In a part of a loop: it is called, and not copied into its caller, which would have more to optimise.
stay_apart: Any = _keep_apart if COMPILED else _nothing
# In a loop that is never waited for: it is neither unrolled nor copied for special cases, and takes half as long to compile.
small_code: Any = _prefer_small if COMPILED else _nothing
