"""What the checks share: requirements with reasons, and the comparison of results."""

from __future__ import annotations

from typing import Any

import numpy as np

from featrec.bag import Bag
from featrec.lazy import Bags

__all__ = ["HEIGHT", "WIDTH", "alike", "items", "require"]

HEIGHT, WIDTH = 72, 88


def require(condition: Any, broken: str, why: str) -> None:
    if not condition:
        raise AssertionError(f"{broken} {why}")


def items(result: Any) -> list:
    return list(result) if isinstance(result, Bags) else list(np.asarray(result))


def alike(first: Any, second: Any, tolerance: float = 0.0) -> bool:
    """Return whether two results, or lists of results, contain the same numbers."""
    if isinstance(first, (list, Bags)):
        pairs = zip(items(first), items(second), strict=True)
        return len(first) == len(second) and all(alike(a, b, tolerance) for a, b in pairs)
    if isinstance(first, Bag):
        return alike(first.descriptors, second.descriptors, tolerance)
    first, second = np.asarray(first), np.asarray(second)
    return first.shape == second.shape and np.allclose(first, second, rtol=0, atol=tolerance)
