"""Compiling seen from outside: seconds that are no work, who wants to be told, and the cache that spares all of it.

numba is not loaded for any of this: where nothing has loaded the compiled loops, nothing was compiled.
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
    """Seconds of work, and seconds of compiling that are not among them."""

    seconds: float = 0.0
    compile_seconds: float = 0.0


@contextmanager
def timed() -> Iterator[Spent]:
    """Seconds of the block, known when it ends.

    What this process compiles meanwhile, in any thread, is told apart. Worker processes compile unseen.
    """
    spent = Spent()
    before, start = compiled_so_far().seconds, time.perf_counter()
    try:
        yield spent
    finally:
        spent.compile_seconds = compiled_so_far().seconds - before
        spent.seconds = max(0.0, time.perf_counter() - start - spent.compile_seconds)


class Compiled(NamedTuple):
    """How many loops and for how long."""

    n_loops: int
    seconds: float


def compiled_so_far() -> Compiled:
    """What this process has compiled of featrec's loops."""
    compilations = _compilations()
    return Compiled(0, 0.0) if compilations is None else Compiled(compilations.n_loops, compilations.seconds)


def tell_of_compiling() -> None:
    """From now on the first compilation of the process is told on the standard error, also where that is a pipe."""
    compilations = _compilations()
    if compilations is not None:
        compilations.wanted = True


class Cache(NamedTuple):
    """What is kept of the compiled loops.

    `n_cached` of `n_loops` loops have an entry for this processor, which is numba's name of it.
    """

    folder: Path | None
    n_bytes: int
    n_cached: int
    n_loops: int
    processor: str


def look_at_cache() -> Cache:
    """Where the cache lies, how large it is and what is in it. Loads numba and every module of loops, but compiles nothing."""
    from featrec.compiled import _cache

    places, n_cached = _cache.folders(), _cache.count_cached()
    n_bytes = sum(file.stat().st_size for file in _cache.files())
    return Cache(places[0] if places else None, n_bytes, n_cached[0], len(_cache.loops()), n_cached[1])


def can_share_cache() -> bool:
    """Whether several processes may fill the cache at a time: where the system has the locks for it."""
    from featrec.compiled import _cache

    return _cache.can_take_turns()


@contextmanager
def warming() -> Iterator[None]:
    """Inside, no two processes compile a loop at the same time, and nobody is told of the first."""
    from featrec.compiled import _cache
    from featrec.compiled._compilations import COMPILATIONS

    before, COMPILATIONS.told = COMPILATIONS.told, True
    try:
        with _cache.compilers_in_turns():
            yield
    finally:
        COMPILATIONS.told = before


def _compilations() -> Any:
    module = sys.modules.get("featrec.compiled._compilations")
    return None if module is None else module.COMPILATIONS
