"""numba's cache of the compiled loops: where it lies, how full it is for this processor, and one compiler at a time.

numba keeps a file for each specialisation of a loop and an index for each loop, which it reads, extends and writes without
a lock: of two processes that compile one loop at a time, one may lose its entry or leave the other's code under it.
"""

from __future__ import annotations

import importlib
import os
import pkgutil
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

from numba.core.dispatcher import Dispatcher
from numba.core.registry import cpu_target

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

__all__ = ["can_take_turns", "compilers_in_turns", "count_cached", "files", "folders", "loops"]

LOCK = "featrec.lock"


def loops() -> list[Any]:
    """Every compiled loop of this package, as numba's dispatchers; none where numba is told not to compile."""
    package = importlib.import_module(__package__ or "")
    found: dict[int, Any] = {}
    for module in pkgutil.iter_modules(package.__path__):
        names = vars(importlib.import_module(f"{__package__}.{module.name}"))
        for value in names.values():
            if isinstance(value, Dispatcher) and value.py_func.__module__ == names["__name__"]:
                found[id(value)] = value
    return list(found.values())


def folders() -> list[Path]:
    """Where the compiled loops are kept; one folder, unless somebody moves them about."""
    return sorted({Path(loop.stats.cache_path) for loop in loops() if loop.stats.cache_path is not None})


def files() -> list[Path]:
    """The files of the cache, those of other processors included."""
    return [file for folder in folders() for kind in ("*.nbi", "*.nbc") for file in sorted(folder.glob(kind))]


def count_cached() -> tuple[int, str]:
    """How many loops have an entry for this processor and the source as it stands, and numba's name of the processor."""
    target = cpu_target.target_context.codegen().magic_tuple()
    return sum(any(key[1] == target for key in _index_of(loop)) for loop in loops()), str(target[1])


def _index_of(loop: Any) -> Any:
    """The keys of a loop's index, (signature, processor, code); none where it was made from another source or numba."""
    return loop._cache._cache_file._load_index()


def can_take_turns() -> bool:
    """Whether this system has the locks that it takes."""
    return fcntl is not None


@contextmanager
def compilers_in_turns() -> Iterator[None]:
    """Inside, no other process that is inside compiles a loop of the same file; what it has compiled is loaded.

    For one thread. A lock for a file of loops, since a loop calls those of its own file alone, so that none waits for another
    while it holds one.
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
    """Locks on ranges of one file beside the cached loops. The system takes them back from a process that dies."""

    def __init__(self, places: list[Path]) -> None:
        self.path = places[0] / LOCK if places and can_take_turns() else None
        self.depth: dict[str, int] = {}
        self.file = -1

    def __enter__(self) -> Turns:
        if self.path is not None:
            self.file = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o666)
        return self

    def __exit__(self, *problem: object) -> None:
        """Closing the file takes back the locks of what has failed to compile."""
        if self.path is not None:
            os.close(self.file)

    def begin(self, module: str) -> None:
        """Wait until nobody compiles what this module holds."""
        if not self.depth.get(module):
            self._lock(module, "LOCK_EX")
        self.depth[module] = self.depth.get(module, 0) + 1

    def end(self, module: str) -> None:
        """Let the next one in, once the outermost loop is done."""
        self.depth[module] -= 1
        if not self.depth[module]:
            self._lock(module, "LOCK_UN")

    def _lock(self, module: str, what: str) -> None:
        if self.path is not None:
            system: ModuleType = fcntl
            system.lockf(self.file, getattr(system, what), 1, zlib.crc32(module.encode()))


class _Turn:
    """A loop's cache that keeps others out from the moment when it misses until it has saved."""

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
