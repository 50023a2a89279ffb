"""The start and the end of a short command, without looking for garbage."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["uncollected"]


@contextmanager
def uncollected() -> Iterator[None]:
    """Inside no garbage is collected, and what is there afterwards never is; for a process that is the command's own.

    Imports leave next to no garbage. Looking for it among all that they make was a fifth of the time of a prediction, in part
    at the very end, when Python looks once more.
    """
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if enabled:
            gc.enable()
