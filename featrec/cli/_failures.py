"""Reports unreadable images; commands continue without them."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from featrec.cli._terminal import verbosity
from featrec.exceptions import DroppedImageWarning, ImageError

if TYPE_CHECKING:
    from featrec.datasets import ImageFolder

__all__ = ["readable", "report", "told"]


def readable(read: Callable[..., Any], place: object, n_jobs: int) -> Any:
    """Read a folder with ``ImageFolder`` or ``ImageFolder.split``, without damaged files, each of which is reported."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DroppedImageWarning)  # each file gets its own line
        found = read(place, on_error="drop", n_jobs=n_jobs, verbose=verbosity())
    for folder in found if isinstance(found, tuple) else (found,):
        report(ImageError(failure.reason, item=failure.item) for failure in folder.dropped)
    return found


def report(failures: Iterable[ImageError]) -> None:
    """Print one line per failure to standard error."""
    sys.stdout.flush()
    for failure in failures:
        sys.stderr.write(f"featrec: error: {failure}\n")


def told(*folders: ImageFolder | None) -> int:
    """Print a last line if images were left out, and return the exit code."""
    there = [folder for folder in folders if folder is not None]
    lists = {id(folder.dropped): folder.dropped for folder in there}  # both parts of one folder share these
    failed = sum(map(len, lists.values()))
    if failed:
        total = failed + sum(len(folder) for folder in there)
        sys.stderr.write(f"featrec: {failed} of {total} images could not be read and were left out\n")
    return 1 if failed else 0
