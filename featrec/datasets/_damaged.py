"""Unreadable images, found before anything is fitted on the others."""

from __future__ import annotations

import warnings
from typing import Any, NamedTuple

import numpy as np

from featrec.exceptions import DatasetError, DroppedImageWarning, ImageError, InputError
from featrec.lazy import Failure, Failures
from featrec.parallel import each_batch

__all__ = ["check_on_error", "find_damaged", "kept_rows"]


class _Part(NamedTuple):
    n_images: int
    failures: list[Failure]


def find_damaged(images: Any, *, n_jobs: int | None = None, verbose: int = 0) -> Failures:
    """Decode each image once and discard it; return those that cannot be read, with position, path and reason."""
    found: list[Failure] = []
    start = 0
    for part in each_batch(_read, images, n_jobs=n_jobs, verbose=verbose, label="images read"):
        found += [Failure(start + (failure.index or 0), failure.item, failure.reason) for failure in part.failures]
        start += part.n_images
    return Failures(found)


def _read(images: Any) -> _Part:
    failures = []
    for position in range(len(images)):
        try:
            images[position]
        except ImageError as error:
            failures.append(Failure(position, images.name(position), error.reason))
    return _Part(len(images), failures)


def kept_rows(path: str, labels: np.ndarray, dropped: Failures) -> np.ndarray:
    """The rows of the readable images, with one warning about the others."""
    n = len(labels)
    if len(dropped) == n:
        first = dropped[0]
        raise DatasetError(f"none of the {n} images of {path!r} can be read; the first error: {first.item!r}: {first.reason}")
    kept = np.setdiff1d(np.arange(n), [failure.index for failure in dropped])
    gone = np.setdiff1d(labels, labels[kept]).tolist()
    warnings.warn(
        f"{path!r}: {len(dropped)} of {n} images cannot be read and were left out, with their labels"
        f"{f'; no images are left of the classes {gone}' if gone else ''}. The attribute dropped and 'featrec "
        f"check' list them with "
        "the reasons.",
        DroppedImageWarning,
        stacklevel=4,
    )
    return kept


def check_on_error(on_error: str) -> None:
    """Check `on_error` of a folder; extractors have other options, because they return one row per image."""
    if on_error == "empty":
        raise InputError(
            'on_error="empty" is for extractors and recipes, which return a row for each image; '
            'ImageFolder accepts "raise", or "drop", which leaves out damaged files and their labels'
        )
    if on_error not in ("raise", "drop"):
        raise InputError(f'on_error of ImageFolder must be "raise" or "drop"; got {on_error!r}')
