"""Messages to the user: progress on a terminal, warnings, and images that cannot be read."""

from __future__ import annotations

import gc
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from featrec.exceptions import DroppedImageWarning, ImageError

if TYPE_CHECKING:
    from featrec.datasets import ImageFolder

__all__ = ["each_or_error", "left_out", "readable", "report", "say", "uncollected", "verbosity", "warn"]


def verbosity() -> int:
    """Return the value of `verbose`: 1 if standard error is a terminal, otherwise 0."""
    return int(sys.stderr.isatty())


def say(text: str) -> None:
    """Print a line of progress if standard error is a terminal."""
    if verbosity():
        sys.stderr.write(text + "\n")


def warn(text: str) -> None:
    """Print a warning after the previous output, even if standard error is not a terminal."""
    sys.stdout.flush()
    sys.stderr.write(f"featrec: warning: {text}\n")


def report(failures: Iterable[ImageError]) -> None:
    """Print one line per failure to standard error."""
    sys.stdout.flush()
    for failure in failures:
        sys.stderr.write(f"featrec: error: {failure}\n")


def readable(read: Callable[..., Any], place: object, n_jobs: int) -> Any:
    """Read a folder with ``ImageFolder`` or ``ImageFolder.split``. Damaged files are reported and left out."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DroppedImageWarning)  # report() prints a line for each file
        found = read(place, on_error="drop", n_jobs=n_jobs, verbose=verbosity())
    for folder in found if isinstance(found, tuple) else (found,):
        report(ImageError(failure.reason, item=failure.item) for failure in folder.dropped)
    return found


def left_out(*folders: ImageFolder | None) -> int:
    """Print how many images were left out, if any, and return the exit code."""
    there = [folder for folder in folders if folder is not None]
    lists = {id(folder.dropped): folder.dropped for folder in there}  # both parts of a split share one list
    failed = sum(map(len, lists.values()))
    if failed:
        total = failed + sum(len(folder) for folder in there)
        sys.stderr.write(f"featrec: {failed} of {total} images could not be read and were left out\n")
    return 1 if failed else 0


def each_or_error(compute: Callable[[Any], Iterable[Any]], images: Any) -> list[Any]:
    """Return the result or the ImageError of each image. If a batch fails, compute each image separately."""
    if not len(images):
        return []
    try:
        return list(compute(images))
    except ImageError as error:
        if len(images) == 1:
            return [error]
    return [found for row in range(len(images)) for found in each_or_error(compute, images[row : row + 1])]


@contextmanager
def uncollected() -> Iterator[None]:
    """Disable garbage collection in the block, then freeze all objects. Use this only in a process that runs a single command.

    Imports create almost no garbage, yet garbage collection took a fifth of the run time of a prediction, part of it at exit.
    """
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if enabled:
            gc.enable()
