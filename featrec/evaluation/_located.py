"""Errors about an image, from its place in a fold back to its place in what the caller gave."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from featrec.evaluation._folds import Rows
from featrec.evaluation._labels import count_items, paths_of, take
from featrec.exceptions import FeatrecError, ImageError, UnsupportedImageError
from featrec.images import check_images

__all__ = ["located"]


@contextmanager
def located(images: Rows) -> Iterator[None]:
    """An ImageError raised inside names the image's path, or its index in what was given."""
    try:
        yield
    except ImageError as error:
        position = _position(error, images)
        if position is None:
            raise
        raise error.at(position, error.item) from error


def _position(error: ImageError, images: Rows) -> int | None:
    """The index in what was given; None where it cannot be told.

    A model that makes folds of its own counts within these, so an index is taken for what it says only where that image
    fails alike, and the others are tried where the reading failed. An image that a later step refuses is told by the index
    alone, in what remembers no other.
    """
    if error.item is not None:
        paths = paths_of(images.given) or ()
        return paths.index(error.item) if error.item in paths else None
    if error.position is None or error.position >= len(images):
        return None
    counted = int(images.rows[error.position])
    read = type(error) not in (ImageError, UnsupportedImageError)
    for position in (counted, error.position, *(images.rows.tolist() if read else ())):
        if _reason(images.given, position) == error.reason:
            return position
    return counted if isinstance(images.given, (list, tuple, np.ndarray)) or hasattr(images.given, "iloc") else None


def _reason(given: Any, position: int) -> str | None:
    """Why an image cannot be read; None where it can."""
    if position >= count_items(given):
        return None
    try:
        check_images(take(given, np.array([position])))[0]
    except ImageError as error:
        return error.reason
    except FeatrecError:
        return None
    return None
