"""Whether images and their mirror images may count as one, decided on training images."""

from __future__ import annotations

from typing import Any

import numpy as np

from featrec.images._thumbnails import nearest, similarities, thumbnails
from featrec.lazy import Images

__all__ = ["mirror_is_harmless"]

SIDE = 8
# Of the images that their neighbours recognise, at least so many must be recognised by their mirror image.
LEAST = 0.6


def mirror_is_harmless(images: Images, labels: Any, n_jobs: int | None = None) -> bool:
    """Whether classes are found as well where an image may stand for its mirror image.

    Thumbnails of up to 4,000 training images look for the most similar other one. Mirror images do harm in two cases: where
    mirrored thumbnails find their class less than 0.6 times as often as the thumbnails themselves; and where, once each may
    match either way, more right answers turn wrong than wrong ones right, by more than the root of both numbers together, which
    is one standard deviation of their difference, were it chance. So digits, letters and signs that point left or right are
    told apart from objects.

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
