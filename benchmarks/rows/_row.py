"""One line of the table of ratios: what featrec does, what it is measured against, and what must come out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Row:
    """Two ways to do the same work, run by turns in one process.

    `ours` and `theirs` do it once and return the result; `agree(ours, theirs)` raises where the results differ by more than
    they may. `target` is how many times as fast ours must be. `products` (multiply-adds times two) and `bytes_moved` of ours
    say what share of the machine's product rate or copy bandwidth it reaches; one of them is given.
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
