"""What is known of compiling in this process: the line that tells of the first, and the seconds of all.

numba sends an event where a loop is in no cache, and none where it is loaded. Events nest, since a loop is compiled while the
one that calls it is; the outermost one counts. Functions of other packages are none of our business.

The compiler makes many small objects, of which nearly all live until a loop is done: looking for garbage among them would be an
eighth of its time, so that Python does not look meanwhile.
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
    """Listens to numba's compiler; `seconds` and `n_loops` grow with each loop of this package that is compiled."""

    def __init__(self, package: str) -> None:
        self.package = package
        self.seconds = 0.0
        self.n_loops = 0
        # Whether somebody said verbose=1, and is told in a pipe as well.
        self.wanted = False
        self.told = False
        self.lock = threading.Lock()
        # Threads that compile, and whether garbage was collected before the first of them.
        self.n_running = 0
        self.collects = False
        # numba compiles in one thread at a time. That is not its promise, so each thread has a depth of its own.
        self.thread = threading.local()

    def on_start(self, event: Event) -> None:
        """Tell of the first; start the clock of an outermost one."""
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
        """Stop the clock, also where the compiler failed."""
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
        """A loop of the package that is kept; what numba makes of its intrinsics is compiled anew into each of them."""
        loop = event.data["dispatcher"]
        module: str = loop.py_func.__module__ or ""
        return module.startswith(self.package + ".") and loop.stats.cache_path is not None

    def _tell(self, loop: Any) -> None:
        with self.lock:
            if self.told or not (_speaks() and (self.wanted or _is_terminal())):
                return
            self.told = True
        sys.stderr.write(
            f"featrec: compiling the loops that are needed here, {loop.py_func.__name__} first, once on this machine; "
            f"they are kept in {loop.stats.cache_path} ('featrec warm' compiles all beforehand)\n"
        )


def _speaks() -> bool:
    """Of worker processes, which share their parent's terminal, one is enough."""
    return multiprocessing.parent_process() is None or multiprocessing.current_process().name.endswith("-1")


def _is_terminal() -> bool:
    """A closed or missing stream is none."""
    try:
        return sys.stderr.isatty()
    except (AttributeError, ValueError):
        return False


COMPILATIONS = Compilations("featrec.compiled")
