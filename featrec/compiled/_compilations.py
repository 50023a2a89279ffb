"""Report the first compilation of this process, and measure the time of all compilations.

numba sends an event when it compiles a loop, but not when it loads a loop from the cache. Events are nested, because a loop is
compiled during the compilation of its caller; only the outermost event is timed. Functions of other packages are ignored.

Python's garbage collection is turned off during compilations, because it would take an eighth of the time and find almost no
garbage.
"""

from __future__ import annotations

import gc
import multiprocessing
import sys
import threading
import time
from typing import Any

from numba.core.event import Event, Listener

__all__ = ["COMPILATIONS", "Compilations"]


class Compilations(Listener):
    """Listener of numba's compiler; `seconds` is the compilation time, and `n_loops` the number of compiled loops."""

    def __init__(self, package: str) -> None:
        self.package = package
        self.seconds = 0.0
        self.n_loops = 0
        # Whether to write the message even if standard error is not a terminal; verbose=1 requests this.
        self.wanted = False
        self.told = False
        self.lock = threading.Lock()
        # Number of threads that are compiling, and whether garbage collection was on before the first of them started.
        self.n_running = 0
        self.collects = False
        # Depth of nested events. Each thread has its own, because several threads may compile at the same time.
        self.thread = threading.local()

    def on_start(self, event: Event) -> None:
        """Report the first compilation; start the clock if the event is the outermost."""
        if not self._is_ours(event):
            return
        self.thread.depth = getattr(self.thread, "depth", 0) + 1
        if self.thread.depth > 1:
            return
        self._tell(event.data["dispatcher"])
        with self.lock:
            if self.n_running == 0:
                self.collects = gc.isenabled()
                gc.disable()
            self.n_running += 1
        self.thread.start = time.perf_counter()

    def on_end(self, event: Event) -> None:
        """Stop the clock, even if the compilation failed."""
        if not self._is_ours(event):
            return
        self.thread.depth -= 1
        with self.lock:
            self.n_loops += 1
            if self.thread.depth > 0:
                return
            self.seconds += time.perf_counter() - self.thread.start
            self.n_running -= 1
            if self.n_running == 0 and self.collects:
                gc.enable()

    def _is_ours(self, event: Event) -> bool:
        """Return whether the event is about a cached loop of this package, not about one of its intrinsics."""
        loop = event.data["dispatcher"]
        module: str = loop.py_func.__module__ or ""
        return module.startswith(self.package + ".") and loop.stats.cache_path is not None

    def _tell(self, loop: Any) -> None:
        with self.lock:
            if self.told or not (_speaks() and (self.wanted or _is_terminal())):
                return
            self.told = True
        sys.stderr.write(
            f"featrec: compiling the required loops, starting with {loop.py_func.__name__}; this happens once on this machine. "
            f"The cache is {loop.stats.cache_path} ('featrec warm' compiles all loops in advance)\n"
        )


def _speaks() -> bool:
    """Return whether this is the main process or the first worker; only these write the message."""
    return multiprocessing.parent_process() is None or multiprocessing.current_process().name.endswith("-1")


def _is_terminal() -> bool:
    """Return whether standard error is a terminal. If standard error is closed or missing, return False."""
    try:
        return sys.stderr.isatty()
    except (AttributeError, ValueError):
        return False


COMPILATIONS = Compilations("featrec.compiled")
