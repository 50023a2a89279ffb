"""numba's cache of the compiled loops (folders, entries for this processor, locks for processes that compile), and
the listener that reports compilations.

numba stores a file for each combination of argument types of a loop, and an index for each loop. It extends the index without
a lock. If two processes compile the same loop at the same time, an entry of the index may be lost or may point to the file of
the other process.

The listener reports the first compilation of this process, and measures the time of all compilations. numba sends an event when
it compiles a loop, but not when it loads a loop from the cache. Events are nested, because a loop is compiled during the
compilation of its caller; only the outermost event is timed. Functions of other packages are ignored. Python's garbage
collection is turned off during compilations, because it would take an eighth of the time and find almost no garbage.
"""

from __future__ import annotations

import gc
import importlib
import multiprocessing
import os
import pkgutil
import sys
import threading
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

from numba.core.dispatcher import Dispatcher
from numba.core.event import Event, Listener
from numba.core.registry import cpu_target

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

__all__ = [
    "COMPILATIONS",
    "Compilations",
    "can_take_turns",
    "compilers_in_turns",
    "count_cached",
    "files",
    "folders",
    "loops",
]


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


LOCK = "featrec.lock"
# Position in the lock file of the byte that is used to test locking. The checksum of a module's name, which is always smaller,
# is the position of the byte that the module locks.
NO_MODULE = 2**32


def loops() -> list[Any]:
    """Return numba's dispatchers of all compiled loops of this package; the list is empty if NUMBA_DISABLE_JIT is set."""
    package = importlib.import_module(__package__ or "")
    found: dict[int, Any] = {}
    for module in pkgutil.iter_modules(package.__path__):
        names = vars(importlib.import_module(f"{__package__}.{module.name}"))
        for value in names.values():
            if isinstance(value, Dispatcher) and value.py_func.__module__ == names["__name__"]:
                found[id(value)] = value
    return list(found.values())


def folders() -> list[Path]:
    """Return the folders that contain cached loops; normally, there is only one."""
    return sorted({Path(loop.stats.cache_path) for loop in loops() if loop.stats.cache_path is not None})


def files() -> list[Path]:
    """Return the files of the cache, including those for other processors."""
    return [file for folder in folders() for kind in ("*.nbi", "*.nbc") for file in sorted(folder.glob(kind))]


def count_cached() -> tuple[int, str]:
    """Return the number of loops with a valid entry for this processor, and numba's name for the processor."""
    target = cpu_target.target_context.codegen().magic_tuple()
    return sum(any(key[1] == target for key in _index_of(loop)) for loop in loops()), str(target[1])


def _index_of(loop: Any) -> Any:
    """Return the keys (signature, processor, code) of a loop's index, or none if the source or numba's version changed."""
    return loop._cache._cache_file._load_index()


def can_take_turns() -> bool:
    """Return whether the file system supports locks. Windows and some network drives do not support them."""
    if fcntl is None:
        return False
    try:
        with open(folders()[0] / LOCK, "ab") as file:
            fcntl.lockf(file, fcntl.LOCK_EX, 1, NO_MODULE)
    except (OSError, IndexError):
        return False
    return True


@contextmanager
def compilers_in_turns() -> Iterator[None]:
    """Let only one process at a time compile the loops of a module; the others wait, then load them from the cache.

    Use this context in one thread only. There is one lock per module. Loops call only loops of their own module, so a process
    that holds a lock never waits for another lock.
    """
    replaced = loops()
    with Turns(folders()) as turns:
        for loop in replaced:
            loop._cache = _Turn(loop._cache, turns, loop.py_func.__module__)
        try:
            yield
        finally:
            for loop in replaced:
                loop._cache = loop._cache.cache


class Turns:
    """Locks on single bytes of a file next to the cached loops. If a process dies, the system releases its locks."""

    def __init__(self, places: list[Path]) -> None:
        self.path = places[0] / LOCK if can_take_turns() else None
        self.depth: dict[str, int] = {}
        self.file = -1

    def __enter__(self) -> Turns:
        if self.path is not None:
            self.file = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o666)
        return self

    def __exit__(self, *problem: object) -> None:
        """Close the file, which releases the locks of loops that failed to compile."""
        if self.path is not None:
            os.close(self.file)

    def begin(self, module: str) -> None:
        """Wait until no other process is compiling loops of this module, then lock the module."""
        if not self.depth.get(module):
            self._lock(module, "LOCK_EX")
        self.depth[module] = self.depth.get(module, 0) + 1

    def end(self, module: str) -> None:
        """Release the lock, unless the loop was compiled as part of another loop of the module that still needs the lock."""
        self.depth[module] -= 1
        if not self.depth[module]:
            self._lock(module, "LOCK_UN")

    def _lock(self, module: str, what: str) -> None:
        if self.path is not None:
            system: ModuleType = fcntl
            system.lockf(self.file, getattr(system, what), 1, zlib.crc32(module.encode()))


class _Turn:
    """Wrapper of a loop's cache. If the cache does not contain the loop, the module stays locked until the loop is saved."""

    def __init__(self, cache: Any, turns: Turns, module: str) -> None:
        self.cache, self.turns, self.module = cache, turns, module

    def __getattr__(self, name: str) -> Any:
        return getattr(self.cache, name)

    def load_overload(self, signature: Any, target: Any) -> Any:
        self.turns.begin(self.module)
        found = self.cache.load_overload(signature, target)
        if found is not None:
            self.turns.end(self.module)
        return found

    def save_overload(self, signature: Any, data: Any) -> None:
        self.cache.save_overload(signature, data)
        self.turns.end(self.module)
