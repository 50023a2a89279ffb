"""One line of the table of ratios: the work, the other side, and the target."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Row:
    """Two ways to do the same work, alternating in one process.

    `ours` and `theirs` do it once and return the result; `agree(ours, theirs)` raises if the results differ too much. `target`
    is the required ratio of the times. `products` (two for each multiply-add) or `bytes_moved` of ours determine the share of
    the product rate or the copy bandwidth of the machine; one of them is given.
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
