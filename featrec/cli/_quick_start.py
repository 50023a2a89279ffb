"""Runs short commands without garbage collection."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["uncollected"]


@contextmanager
def uncollected() -> Iterator[None]:
    """Disable garbage collection inside and freeze all remaining objects; only for a process of its own.

    Imports create almost no garbage. Searching for it took a fifth of the time of a prediction, partly at exit, when Python
    searches again.
    """
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if enabled:
            gc.enable()
