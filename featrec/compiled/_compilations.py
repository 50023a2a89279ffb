"""Compilations in this process: a message about the first one, and the time of all.

numba sends an event when it compiles a loop, and none when it loads one from the cache. Events nest, because loops are compiled
along with their callers; only the outermost is timed. Functions of other packages are ignored.

Python's garbage collection is off while numba compiles. It would take an eighth of the time and find almost nothing.
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
    """Listens to numba's compiler; `seconds` and `n_loops` grow with each compiled loop of this package."""

    def __init__(self, package: str) -> None:
        self.package = package
        self.seconds = 0.0
        self.n_loops = 0
        # With verbose=1 the message is also written to a pipe.
        self.wanted = False
        self.told = False
        self.lock = threading.Lock()
        # The number of threads that compile, and whether garbage collection was on before the first.
        self.n_running = 0
        self.collects = False
        # numba compiles in one thread at a time but does not promise it, so the depth is stored for each thread.
        self.thread = threading.local()

    def on_start(self, event: Event) -> None:
        """Report the first compilation; start the clock of an outermost one."""
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
        """Stop the clock, also if the compiler failed."""
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
        """Whether the event is about a cached loop of this package, and not about one of its intrinsics."""
        loop = event.data["dispatcher"]
        module: str = loop.py_func.__module__ or ""
        return module.startswith(self.package + ".") and loop.stats.cache_path is not None

    def _tell(self, loop: Any) -> None:
        with self.lock:
            if self.told or not (_speaks() and (self.wanted or _is_terminal())):
                return
            self.told = True
        sys.stderr.write(
            f"featrec: compiling the required loops, first {loop.py_func.__name__}; this happens once on this machine. "
            f"The cache is {loop.stats.cache_path} ('featrec warm' compiles all loops in advance)\n"
        )


def _speaks() -> bool:
    """Whether this is the main process or the first worker; the others share the terminal and stay silent."""
    return multiprocessing.parent_process() is None or multiprocessing.current_process().name.endswith("-1")


def _is_terminal() -> bool:
    """Whether standard error is a terminal; a closed or missing stream is not."""
    try:
        return sys.stderr.isatty()
    except (AttributeError, ValueError):
        return False


COMPILATIONS = Compilations("featrec.compiled")
