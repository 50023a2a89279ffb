"""Compare thumbnails of training images. The results determine the values of parameters that are set to "auto"."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import cv2
import numpy as np

from featrec.exceptions import ImageError
from featrec.images._convert import as_float, as_gray
from featrec.lazy import Images
from featrec.parallel import map_batches

__all__ = ["nearest", "similarities", "thumbnails"]

# Maximum number of images to compare, evenly spaced within each class.
MOST = 4000
Change = Callable[[np.ndarray], np.ndarray]


def thumbnails(
    images: Images, labels: Any, side: int, changes: tuple[Change, ...], n_jobs: int | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Return gray thumbnails of up to 4,000 readable images, and their labels.

    Each function in `changes` is applied to each image before the image is reduced. The thumbnails have the shape (n_changes,
    n, side, side), zero mean and unit length.
    """
    rows = _spread(np.asarray(labels))

    def batch(some: Images) -> Iterable[np.ndarray | None]:
        return [_of_image(some, place, side, changes) for place in range(len(some))]

    found = [one for part in map_batches(batch, images[rows], n_jobs=n_jobs, shared_memory=True) for one in part]
    kept = [one for one in found if one is not None]
    pixels = np.stack(kept, axis=1) if kept else np.empty((len(changes), 0, side, side), np.float32)
    return pixels, np.asarray(labels)[rows][[one is not None for one in found]]


def nearest(values: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return, for each row of a similarity matrix, whether the most similar thumbnail has the same label."""
    return labels[values.argmax(axis=1)] == labels


def similarities(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Compute the similarities of all pairs of rows. The diagonal (each image with itself) is set to -2."""
    values: np.ndarray = left.reshape(len(left), -1) @ right.reshape(len(right), -1).T
    np.fill_diagonal(values, -2)
    return values


def _spread(labels: np.ndarray) -> np.ndarray:
    """Return at most MOST rows in order, evenly spaced within each class."""
    by_class = np.argsort(labels, kind="stable")
    some = by_class if len(labels) <= MOST else by_class[np.linspace(0, len(labels) - 1, MOST).round().astype(int)]
    return np.sort(some)


def _of_image(images: Images, position: int, side: int, changes: tuple[Change, ...]) -> np.ndarray | None:
    try:
        image = images[position]
    except ImageError:
        return None
    return np.stack([_small(change(image), side) for change in changes])


def _small(image: np.ndarray, side: int) -> np.ndarray:
    small: np.ndarray = cv2.resize(as_float(as_gray(image)), (side, side), interpolation=cv2.INTER_AREA)
    small = small - small.mean()
    length = float(np.linalg.norm(small))
    return small / length if length > 0 else small
