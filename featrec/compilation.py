"""Compilation time, the message about the first compilation, and the cache of compiled loops.

Only the functions that deal with the cache import numba.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

__all__ = ["Cache", "Spent", "can_share_cache", "compiled_so_far", "look_at_cache", "tell_of_compiling", "timed", "warming"]


@dataclass
class Spent:
    """Seconds spent on work other than compilation, and seconds spent on compilation."""

    seconds: float = 0.0
    compile_seconds: float = 0.0


@contextmanager
def timed() -> Iterator[Spent]:
    """Measure the time of a block; the result is set when the block ends.

    Compilation in any thread of this process is counted separately; compilation in other processes is not.
    """
    spent = Spent()
    before, start = compiled_so_far().seconds, time.perf_counter()
    try:
        yield spent
    finally:
        spent.compile_seconds = compiled_so_far().seconds - before
        spent.seconds = max(0.0, time.perf_counter() - start - spent.compile_seconds)


class Compiled(NamedTuple):
    """Number of compiled loops, and the number of seconds that their compilation took."""

    n_loops: int
    seconds: float


def compiled_so_far() -> Compiled:
    """Return the number of loops that this process has compiled, and how long the compilation took."""
    compilations = _compilations()
    return Compiled(0, 0.0) if compilations is None else Compiled(compilations.n_loops, compilations.seconds)


def tell_of_compiling() -> None:
    """Report the first compilation of this process on standard error, even if standard error is not a terminal."""
    compilations = _compilations()
    if compilations is not None:
        compilations.wanted = True


class Cache(NamedTuple):
    """The cache of compiled loops.

    `n_cached` of `n_loops` loops have an entry for this processor; `processor` is numba's name for this processor.
    """

    folder: Path | None
    n_bytes: int
    n_cached: int
    n_loops: int
    processor: str


def look_at_cache() -> Cache:
    """Return the folder, size and contents of the cache. This loads numba and all loops, but compiles nothing."""
    from featrec.compiled import _cache

    places, n_cached = _cache.folders(), _cache.count_cached()
    n_bytes = sum(file.stat().st_size for file in _cache.files())
    return Cache(places[0] if places else None, n_bytes, n_cached[0], len(_cache.loops()), n_cached[1])


def can_share_cache() -> bool:
    """Return whether several processes may fill the cache at once; this needs file locks."""
    from featrec.compiled import _cache

    return _cache.can_take_turns()


@contextmanager
def warming() -> Iterator[None]:
    """In this context, only one process at a time compiles a module, and the first compilation is not reported."""
    from featrec.compiled import _cache
    from featrec.compiled._cache import COMPILATIONS

    before, COMPILATIONS.told = COMPILATIONS.told, True
    try:
        with _cache.compilers_in_turns():
            yield
    finally:
        COMPILATIONS.told = before


def _compilations() -> Any:
    module = sys.modules.get("featrec.compiled._cache")
    return None if module is None else module.COMPILATIONS
