"""Seconds of work: what is compiled, once on a machine, does not count."""

from __future__ import annotations

import time

from featrec.compilation import compiled_so_far

__all__ = ["Clock"]


class Clock:
    """A clock that does not count what has been compiled meanwhile."""

    def now(self) -> float:
        """Seconds from a moment that never changes."""
        return time.perf_counter() - compiled_so_far().seconds
