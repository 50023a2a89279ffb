"""Check of parameters with a fixed number of positive integers, such as rows and columns."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Integral

from featrec.exceptions import InputError

__all__ = ["check_sizes"]


def check_sizes(name: str, sizes: int | Sequence[int], length: int) -> tuple[int, ...]:
    """The parameter as a tuple of `length` positive integers; a single integer applies to all."""
    each = (sizes,) * length if isinstance(sizes, (int, Integral)) else sizes
    counts = all(isinstance(size, Integral) and not isinstance(size, bool) and size > 0 for size in each)
    if len(each) != length or not counts:
        raise InputError(f"{name} must be {length} positive integers, or a single one for all; got {sizes!r}")
    return tuple(int(size) for size in each)
