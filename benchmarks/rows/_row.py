"""One row of the speed benchmark: the work, the other side, and the target."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Row:
    """Two ways to do the same work, alternating in one process.

    `ours` and `theirs` do the work once and return the result; `agree(ours, theirs)` raises an error if the results differ too
    much. `target` is the required ratio of the times. Either `products` or `bytes_moved` must be set: the number of operations
    of `ours` (two for each multiply-add), from which its share of the machine's product rate follows, or the number of bytes
    that it moves, from which its share of the copy bandwidth follows.
    """

    work: str
    against: str
    target: float
    ours: Callable[[], Any]
    theirs: Callable[[], Any]
    agree: Callable[[Any, Any], None]
    threads: int = 1
    threads_theirs: int = 1
    products: float = 0.0
    bytes_moved: float = 0.0
