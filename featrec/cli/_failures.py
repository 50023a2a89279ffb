"""Pictures that cannot be read: they are named, and the work goes on without them."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, TypeVar

from featrec.exceptions import ImageError, InputError

if TYPE_CHECKING:
    from featrec.datasets import ImageFolder

__all__ = ["going_on", "report"]

Result = TypeVar("Result")


def going_on(work: Callable[..., Result], *folders: ImageFolder, n_jobs: int) -> tuple[Result, list[ImageError]]:
    """The result of ``work(*folders)``, and the pictures that were left out because they cannot be read.

    Nothing is read twice where all can be.
    """
    try:
        return work(*folders), []
    except ImageError as first:
        parts = [_readable(folder, n_jobs) for folder in folders]
        failures = [failure for _, failed in parts for failure in failed]
        if not failures:
            raise first from None
    report(failures)
    return work(*(kept for kept, _ in parts)), failures


def report(failures: Iterable[ImageError]) -> None:
    """A line for each on the standard error."""
    sys.stdout.flush()
    for failure in failures:
        sys.stderr.write(f"featrec: error: {failure}\n")


def _readable(folder: ImageFolder, n_jobs: int) -> tuple[ImageFolder, list[ImageError]]:
    import numpy as np

    from featrec.parallel import map_batches

    found = [failure for batch in map_batches(_failures, folder, n_jobs=n_jobs) for failure in batch]
    bad = [position for position, failure in enumerate(found) if failure is not None]
    if len(bad) == len(folder):
        raise InputError(f"none of the {len(folder)} pictures can be read; the first: {found[0]}")
    return folder[np.setdiff1d(np.arange(len(folder)), bad)], [failure for failure in found if failure is not None]


def _failures(folder: Any) -> list[ImageError | None]:
    return [_failure(folder, position) for position in range(len(folder))]


def _failure(folder: Any, position: int) -> ImageError | None:
    try:
        folder[position]
    except ImageError as error:
        return error.at(None, folder.name(position))
    return None
