"""Parallel loops over images, limited to one level of parallelism.

The thread limits of cv2 and BLAS apply to the whole process. The first worker that starts sets the limit to one thread, and the
last worker that finishes restores the previous limit.
"""

from __future__ import annotations

import math
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from functools import lru_cache
from typing import Any, Protocol, TypeVar

import joblib
from joblib.parallel import get_active_backend
from threadpoolctl import ThreadpoolController

from featrec.exceptions import InputError

__all__ = [
    "alone",
    "checkpoint",
    "each_batch",
    "each_in_processes",
    "map_batches",
    "observed_by",
    "one_inner_thread",
    "worker_count",
]

Result = TypeVar("Result")


_OBSERVER: ContextVar[Callable[[], None] | None] = ContextVar("observer", default=None)


def checkpoint() -> None:
    """Call the observer of this thread. It may stop a long loop by raising an exception."""
    observer = _OBSERVER.get()
    if observer is not None:
        observer()


@contextmanager
def observed_by(observer: Callable[[], None]) -> Iterator[None]:
    """Call `observer` at each checkpoint of this thread."""
    token = _OBSERVER.set(observer)
    try:
        yield
    finally:
        _OBSERVER.reset(token)


class Sliceable(Protocol):
    """Input of map_batches: a list, Images or Bags."""

    def __len__(self) -> int: ...
    def __getitem__(self, key: Any, /) -> Any: ...


LARGEST_BATCH = 32
BATCHES_PER_WORKER = 4
# Packages that load their own BLAS or OpenMP library.
BRING_THREADS = ("scipy.linalg", "sklearn", "faiss", "torch", "onnxruntime", "lightgbm", "xgboost")
PATIENCE = 2.0  # seconds before progress is shown


def worker_count(n_jobs: int | None = None, *, shared_memory: bool = False) -> int:
    """Return the number of workers for `n_jobs`. Inside a worker, the number is 1.

    None means the number that the joblib context sets. On a cluster, every value except 1 means all threads of the cluster. If
    `shared_memory` is True, the workers are threads of this process.
    """
    if _ALONE.inside:
        return 1
    backend, in_context = get_active_backend()
    if (backend.nesting_level or 0) > 0 or _is_task_of_dask():
        return 1
    n_jobs = in_context if n_jobs is None else n_jobs
    n_jobs = backend.default_n_jobs if n_jobs is None else n_jobs
    if n_jobs == 0:
        raise InputError("n_jobs must not be 0; use None or 1 for one worker, or -1 for all processors")
    if n_jobs == 1:
        return 1
    backend, _ = get_active_backend(**_hints(shared_memory))
    count: int = backend.effective_n_jobs(n_jobs)
    return count


def _hints(shared_memory: bool) -> dict[str, str]:
    """Return hints for joblib. joblib always obeys "require", but obeys "prefer" only if the context sets no backend."""
    return {"prefer": "threads", "require": "sharedmem"} if shared_memory else {"prefer": "threads"}


def _is_task_of_dask() -> bool:
    """Return whether this is a Dask task, for which joblib does not report a nesting level."""
    distributed = sys.modules.get("distributed")
    if distributed is None:
        return False
    try:
        distributed.get_worker()
    except ValueError:
        return False
    return True


class _Alone(threading.local):
    inside = 0


_ALONE = _Alone()


@contextmanager
def alone() -> Iterator[None]:
    """Do not start workers in this context; `n_jobs` is ignored."""
    _ALONE.inside += 1
    try:
        yield
    finally:
        _ALONE.inside -= 1


# Function that is called at each pass over images, with the pass's label, number of batches, and results of the batches.
Watch = Callable[[str, int, Iterator], Iterator]
_WATCH: ContextVar[Watch | None] = ContextVar("watch", default=None)


@contextmanager
def watched_passes(watch: Watch) -> Iterator[None]:
    """Pass the results of each pass over images through `watch`."""
    token = _WATCH.set(watch)
    try:
        yield
    finally:
        _WATCH.reset(token)


def map_batches(
    function: Callable[..., Result],
    items: Sliceable,
    *,
    n_jobs: int | None = None,
    batch_size: int | None = None,
    verbose: int = 0,
    label: str | None = None,
    shared_memory: bool = False,
) -> list[Result]:
    """Apply `function` to consecutive slices of `items` and return the results in order.

    Workers are threads, because cv2, BLAS and the compiled loops release the GIL; ``joblib.parallel_config`` can select
    another backend. If `shared_memory` is True, workers are always threads. This is necessary if `function` writes into arrays
    of its caller, because such results would be lost in another process.
    """
    return list(
        each_batch(
            function,
            items,
            n_jobs=n_jobs,
            batch_size=batch_size,
            verbose=verbose,
            label=label,
            shared_memory=shared_memory,
        )
    )


def each_batch(
    function: Callable[..., Result],
    items: Sliceable,
    *,
    n_jobs: int | None = None,
    batch_size: int | None = None,
    verbose: int = 0,
    label: str | None = None,
    shared_memory: bool = False,
) -> Iterator[Result]:
    """Yield the results of :func:`map_batches` one by one, which saves memory if they are large."""
    checkpoint()  # learning a vocabulary also reaches this point, because each iteration requests batches
    workers = worker_count(n_jobs, shared_memory=shared_memory)
    size = batch_size or _batch_size(len(items), workers)
    batches = [slice(start, start + size) for start in range(0, len(items), size)]
    progress = _Progress(len(items), label or "images") if verbose else None
    watch = _WATCH.get() if label is not None and label.startswith("images") else None
    results: Iterable[Result] = (function(items[batch]) for batch in batches)
    if workers > 1 and len(batches) > 1:
        tasks = (joblib.delayed(_guarded)(function, items[batch]) for batch in batches)
        hints = _hints(shared_memory)
        results = joblib.Parallel(n_jobs=workers, return_as=_return_as(hints), **hints)(tasks)
    if watch is not None:
        results = watch(str(label), len(batches), iter(results))
    for batch, result in zip(batches, results, strict=True):
        if progress is not None:
            progress.reached(batch.stop)
        yield result


def each_in_processes(
    function: Callable[[Any], Result], items: Sequence[Any], *, n_jobs: int = 1, idle: int = 0
) -> Iterator[Result]:
    """Apply `function` to each item in local processes and yield results as they complete.

    Use this for work that cannot run in several threads, such as compiling with numba. ``n_jobs=1`` uses the current process.
    Otherwise, `idle` additional processes are started to replace processes that wait for others.
    """
    if n_jobs == 0:
        raise InputError("n_jobs must not be 0; use 1 for one process, or -1 for all processors")
    wanted = n_jobs if n_jobs > 0 else max(1, joblib.cpu_count() + 1 + n_jobs)
    n_processes = min(wanted + idle, len(items)) if wanted > 1 else 1
    if n_processes < 2:
        yield from map(function, items)
        return
    tasks = (joblib.delayed(function)(item) for item in items)
    yield from joblib.Parallel(n_processes, backend="loky", batch_size=1, return_as="generator_unordered")(tasks)


def _batch_size(n_items: int, workers: int) -> int:
    return max(1, min(LARGEST_BATCH, math.ceil(n_items / (workers * BATCHES_PER_WORKER))))


def _return_as(hints: dict[str, str]) -> str:
    """Return "generator" if the backend supports it, because progress can then be reported during the work."""
    backend, _ = get_active_backend(**hints)
    return "generator" if getattr(backend, "supports_return_generator", False) else "list"


def _guarded(function: Callable[[Any], Result], batch: Any) -> Result:
    with one_inner_thread():
        return function(batch)


def _nothing_to_restore() -> None:
    pass


class _Guard:
    """A thread limit that several users share: the first user sets the limit, and the last user restores the previous state."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.inside = 0
        self.restore: Callable[[], None] = _nothing_to_restore

    def enter(self) -> None:
        with self.lock:
            if self.inside == 0:
                self.restore = _limit_inner_threads()
            self.inside += 1

    def leave(self) -> None:
        with self.lock:
            self.inside -= 1
            if self.inside == 0:
                self.restore()
                self.restore = _nothing_to_restore


_GUARD = _Guard()


@contextmanager
def one_inner_thread() -> Iterator[None]:
    """Limit cv2 and BLAS to one thread in this context. Contexts in several threads may overlap."""
    _GUARD.enter()
    try:
        yield
    finally:
        _GUARD.leave()


def _limit_inner_threads() -> Callable[[], None]:
    controller = _controller(tuple(name in sys.modules for name in BRING_THREADS))
    with _owned_by_nobody(controller):
        limiter = controller.limit(limits=1)
    cv2 = sys.modules.get("cv2")
    threads = None if cv2 is None else cv2.getNumThreads()
    if cv2 is not None:
        cv2.setNumThreads(1)

    def restore() -> None:
        if cv2 is not None:
            cv2.setNumThreads(threads)
        with _owned_by_nobody(controller):
            limiter.restore_original_limits()

    return restore


@contextmanager
def _owned_by_nobody(controller: ThreadpoolController) -> Iterator[None]:
    """Let any thread change the limits of BLAS.

    Since version 3.8, threadpoolctl silently ignores all threads except the thread that first set a limit. In featrec, the
    limits may be restored by a different thread.
    """
    libraries = [library for library in controller.lib_controllers if hasattr(library, "clear_controlling_thread")]
    for library in libraries:
        library.clear_controlling_thread(force=True)
    yield
    for library in libraries:
        library.clear_controlling_thread(force=True)


@lru_cache(maxsize=8)
def _controller(loaded: tuple[bool, ...]) -> ThreadpoolController:
    """Find the thread pools, which takes 2 ms. The result is cached until another package loads its own BLAS library."""
    return ThreadpoolController()


class _Progress:
    """Writes a line to standard error for each tenth of the work, if the work takes more than PATIENCE seconds."""

    def __init__(self, total: int, label: str):
        self.total, self.label, self.told = total, label, 0
        self.start = time.perf_counter()

    def reached(self, done: int) -> None:
        done = min(done, self.total)
        tenth = 10 * done // max(1, self.total)
        seconds = time.perf_counter() - self.start
        if tenth > self.told and seconds > PATIENCE:
            self.told = tenth
            sys.stderr.write(f"{done:>7} of {self.total} {self.label}, {seconds:.1f} s\n")
