"""Seconds of work: what numba compiles, once on a machine, does not count."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

__all__ = ["Clock", "work_clock"]


class Clock:
    """A clock that stands still while something is compiled, by whatever thread."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.compiling = 0
        self.stopped = 0.0
        self.since = 0.0

    def now(self) -> float:
        """Seconds from a moment that never changes."""
        with self.lock:
            return (self.since if self.compiling else time.perf_counter()) - self.stopped

    def on_start(self, event: Any) -> None:
        """numba begins to compile; what is called from there is compiled inside."""
        with self.lock:
            if not self.compiling:
                self.since = time.perf_counter()
            self.compiling += 1

    def on_end(self, event: Any) -> None:
        """numba has compiled."""
        with self.lock:
            self.compiling -= 1
            if not self.compiling:
                self.stopped += time.perf_counter() - self.since


@contextmanager
def work_clock() -> Iterator[Clock]:
    """A clock that hears of numba's compilations; a function that is loaded from numba's cache is none."""
    from numba.core import event

    clock = Clock()

    class Compilations(event.Listener):
        def on_start(self, event: Any) -> None:
            clock.on_start(event)

        def on_end(self, event: Any) -> None:
            clock.on_end(event)

    with event.install_listener("numba:compile", Compilations()):
        yield clock
