"""Whether images and their mirror images may count as one, decided on training images."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import cv2
import numpy as np

from featrec.exceptions import ImageError
from featrec.images import as_float, as_gray
from featrec.lazy import Images
from featrec.parallel import map_batches

__all__ = ["mirror_is_harmless"]

# Thumbnails that are compared, and their side.
MOST, SIDE = 2000, 8


def mirror_is_harmless(images: Images, labels: Any, n_jobs: int | None = None) -> bool:
    """Whether nearest neighbours find classes as well when an image may match a mirror image.

    Thumbnails of up to 2,000 training images, evenly spaced within each class, look for the most similar other one: once
    among the thumbnails, once among these and their mirror images. Mirror images do harm where they turn more right answers
    into wrong ones than wrong ones into right ones, by more than the root of both numbers together: one standard deviation of
    their difference, were it chance. So digits, letters and signs that point left or right are told apart from objects.

    Parameters
    ----------
    images : Images
    labels : array-like of shape (n_images,)
    n_jobs : int, optional

    Returns
    -------
    harmless : bool
    """
    rows, labels = _spread(np.asarray(labels))
    found = [some for batch in map_batches(_thumbnails, images[rows], n_jobs=n_jobs) for some in batch]
    kept = np.array([some is not None for some in found])
    if kept.sum() < 2:
        return True
    labels, pixels = labels[kept], np.stack([some for some in found if some is not None])
    plain = _similarities(pixels, pixels)
    either = np.maximum(plain, _similarities(pixels[:, :, ::-1], pixels))
    right, still_right = (labels[values.argmax(axis=1)] == labels for values in (plain, either))
    lost, won = int((right & ~still_right).sum()), int((still_right & ~right).sum())
    return bool(lost - won <= np.sqrt(lost + won))


def _spread(labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rows evenly spaced within each class, in order, and their labels."""
    by_class = np.argsort(labels, kind="stable")
    rows = by_class if len(labels) <= MOST else by_class[np.linspace(0, len(labels) - 1, MOST).round().astype(int)]
    rows = np.sort(rows)
    return rows, labels[rows]


def _thumbnails(images: Images) -> Iterable[np.ndarray | None]:
    """Gray ones without their mean and of unit length; None for images that cannot be read."""
    return [_thumbnail(images, position) for position in range(len(images))]


def _thumbnail(images: Images, position: int) -> np.ndarray | None:
    try:
        image = images[position]
    except ImageError:
        return None
    small = cv2.resize(as_float(as_gray(image)), (SIDE, SIDE), interpolation=cv2.INTER_AREA)
    small = small - small.mean()
    length = float(np.linalg.norm(small))
    return small / length if length > 0 else small


def _similarities(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Between each two, a thumbnail and itself left out."""
    values: np.ndarray = left.reshape(len(left), -1) @ right.reshape(len(right), -1).T
    np.fill_diagonal(values, -2)
    return values
