"""The smaller and the larger of two numbers of one type, written straight into the loop that asks.

Python's own `min` and `max` are compiled as functions of their own, for each type. Of equals, and beside a NaN, the first.
"""

from typing import Any

from numba import types
from numba.extending import intrinsic

from featrec.compiled._options import COMPILED


def _chosen(first, second, sign):
    """The second if it compares so with the first, else the first; None where their types differ."""
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
