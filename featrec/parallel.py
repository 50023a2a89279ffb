"""The one place where work is spread over threads, and the guard that keeps one level of parallelism.

cv2's and BLAS's thread limits belong to the process, not to a thread. The guard is therefore counted: the first worker
to enter sets one thread, the last to leave restores what was there.
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
    """For long loops that ask for no pictures: here whoever observes may end them by raising."""
    observer = _OBSERVER.get()
    if observer is not None:
        observer()


@contextmanager
def observed_by(observer: Callable[[], None]) -> Iterator[None]:
    """Have `observer` called at each checkpoint of this thread."""
    token = _OBSERVER.set(observer)
    try:
        yield
    finally:
        _OBSERVER.reset(token)


class Sliceable(Protocol):
    """What map_batches takes apart: a list, Images, Bags."""

    def __len__(self) -> int: ...
    def __getitem__(self, key: Any, /) -> Any: ...


LARGEST_BATCH = 32
BATCHES_PER_WORKER = 4
# Packages that bring a BLAS or OpenMP library of their own.
BRING_THREADS = ("scipy.linalg", "sklearn", "faiss", "torch", "onnxruntime", "lightgbm", "xgboost")
PATIENCE = 2.0  # seconds before progress is worth a line


def worker_count(n_jobs: int | None = None, *, shared_memory: bool = False) -> int:
    """How many workers `n_jobs` means here: the joblib context decides for None, and a worker starts no others.

    On a cluster it is all of its threads, for None and for any number but 1; with `shared_memory` they are threads here.
    """
    backend, in_context = get_active_backend()
    if (backend.nesting_level or 0) > 0 or _ALONE.inside or _is_task_of_dask():
        return 1
    n_jobs = in_context if n_jobs is None else n_jobs
    n_jobs = backend.default_n_jobs if n_jobs is None else n_jobs
    if n_jobs == 0:
        raise InputError("n_jobs=0 asks for no workers; use None or 1 for one, -1 for all processors")
    if n_jobs == 1:
        return 1
    backend, _ = get_active_backend(**_hints(shared_memory))
    count: int = backend.effective_n_jobs(n_jobs)
    return count


def _hints(shared_memory: bool) -> dict[str, str]:
    """What joblib is asked for; a requirement it must keep, a preference only where the context names no backend."""
    return {"prefer": "threads", "require": "sharedmem"} if shared_memory else {"prefer": "threads"}


def _is_task_of_dask() -> bool:
    """joblib tells no level of nesting inside a task of Dask."""
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
    """Whatever this thread calls inside starts no workers, whatever its `n_jobs` says."""
    _ALONE.inside += 1
    try:
        yield
    finally:
        _ALONE.inside -= 1


def map_batches(
    function: Callable[..., Result],
    items: Sliceable,
    *,
    n_jobs: int | None = None,
    batch_size: int | None = None,
    verbose: int = 0,
    label: str = "images",
    shared_memory: bool = False,
) -> list[Result]:
    """Apply `function` to consecutive slices of `items` and return its results in order.

    Threads are used, because cv2, BLAS and the compiled loops release the GIL, unless ``joblib.parallel_config`` names
    another backend. With `shared_memory` they are threads whatever it names: for a function that writes into arrays of its
    caller, which would be lost in another process.
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
    label: str = "images",
    shared_memory: bool = False,
) -> Iterator[Result]:
    """The same one after another, for results too large to be held twice."""
    workers = worker_count(n_jobs, shared_memory=shared_memory)
    size = batch_size or _batch_size(len(items), workers)
    batches = [slice(start, start + size) for start in range(0, len(items), size)]
    progress = _Progress(len(items), label) if verbose else None
    results: Iterable[Result] = (function(items[batch]) for batch in batches)
    if workers > 1 and len(batches) > 1:
        tasks = (joblib.delayed(_guarded)(function, items[batch]) for batch in batches)
        hints = _hints(shared_memory)
        results = joblib.Parallel(n_jobs=workers, return_as=_return_as(hints), **hints)(tasks)
    for batch, result in zip(batches, results, strict=True):
        if progress is not None:
            progress.reached(batch.stop)
        yield result


def each_in_processes(
    function: Callable[[Any], Result], items: Sequence[Any], *, n_jobs: int = 1, idle: int = 0
) -> Iterator[Result]:
    """Apply `function` to each item in processes of this machine, and return results as they come.

    For the little that threads cannot share, such as numba's compiler. With ``n_jobs=1`` it is this process; otherwise there
    are `idle` processes more, where so many wait for others at any time.
    """
    if n_jobs == 0:
        raise InputError("n_jobs=0 asks for no processes; use 1 for one, -1 for as many as there are processors")
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
    """Progress follows the work where the backend can hand over results one by one."""
    backend, _ = get_active_backend(**hints)
    return "generator" if getattr(backend, "supports_return_generator", False) else "list"


def _guarded(function: Callable[[Any], Result], batch: Any) -> Result:
    with one_inner_thread():
        return function(batch)


def _nothing_to_restore() -> None:
    pass


class _Guard:
    """Counts who is inside; the first sets the limits, the last takes them back."""

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
    """Hold cv2 and BLAS to one thread while any caller is inside; safe when callers overlap."""
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
    """Let any thread set BLAS's limits, and any other one after it.

    From 3.8 on threadpoolctl obeys only the thread that set a limit first and ignores the others silently; here the last
    worker to leave restores what the first one set.
    """
    libraries = [library for library in controller.lib_controllers if hasattr(library, "clear_controlling_thread")]
    for library in libraries:
        library.clear_controlling_thread(force=True)
    yield
    for library in libraries:
        library.clear_controlling_thread(force=True)


@lru_cache(maxsize=8)
def _controller(loaded: tuple[bool, ...]) -> ThreadpoolController:
    """Kept, since finding the libraries takes 2 ms; found again once another package has brought its own BLAS."""
    return ThreadpoolController()


class _Progress:
    """A line on the standard error for each tenth of the work, once it has taken a while."""

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
