"""Decides on training images whether images may be treated like their mirror images."""

from __future__ import annotations

from typing import Any

import numpy as np

from featrec.images import nearest, similarities, thumbnails
from featrec.lazy import Images

__all__ = ["mirror_is_harmless"]

SIDE = 8
# Minimum number of images recognised by mirrored neighbours, relative to those recognised by normal neighbours.
LEAST = 0.6


def mirror_is_harmless(images: Images, labels: Any, n_jobs: int | None = None) -> bool:
    """Whether classes are recognised as well if an image may be replaced by its mirror image.

    The nearest neighbour of each thumbnail is found among up to 4,000 training images. Mirror images are harmful in two cases.
    First, mirrored thumbnails find the right class less than 0.6 times as often as the originals. Second, if a match may be
    mirrored, more correct answers become wrong than wrong ones correct, and the difference exceeds the square root of the
    number of changed answers (one standard deviation if changes were random). This separates digits, letters and arrows from
    objects.

    Parameters
    ----------
    images : Images
    labels : array-like of shape (n_images,)
    n_jobs : int, optional

    Returns
    -------
    harmless : bool
    """
    (pixels,), labels = thumbnails(images, labels, SIDE, (_as_it_is,), n_jobs)
    if len(pixels) < 2:
        return True
    plain, mirrored = similarities(pixels, pixels), similarities(pixels[:, :, ::-1], pixels)
    right = nearest(plain, labels)
    if nearest(mirrored, labels).sum() < LEAST * right.sum():
        return False
    still_right = nearest(np.maximum(plain, mirrored), labels)
    lost, won = int((right & ~still_right).sum()), int((still_right & ~right).sum())
    return bool(lost - won <= np.sqrt(lost + won))


def _as_it_is(image: np.ndarray) -> np.ndarray:
    return image
