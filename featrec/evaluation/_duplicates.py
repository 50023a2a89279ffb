"""Duplicates: test images whose pixels are identical to those of a training image."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np

from featrec.evaluation._splits import Part
from featrec.exceptions import FeatrecError, ImageError
from featrec.images import check_images
from featrec.lazy import Images
from featrec.parallel import map_batches

__all__ = ["duplicates_in"]


def duplicates_in(parts: list[Part]) -> np.ndarray | None:
    """Return the positions of predictions whose image is identical to a training image of its split.

    None if the images cannot be read, for example because only predictions of other programs are compared.
    """
    train = _digests(parts[0].train.given)
    same = parts[0].test.given is parts[0].train.given
    test = train if same else _digests(parts[0].test.given)
    if train is None or test is None:
        return None
    found = []
    for part in parts:
        known = {train[row] for row in part.train.rows} - {None}
        found += [place for place, row in zip(part.places, part.test.rows, strict=True) if test[row] in known]
    return np.sort(np.array(found, int))


def _digests(X: Any) -> list[bytes | None] | None:
    """Return a digest of the pixels of each image, None for an image that cannot be read."""
    if hasattr(X, "to_numpy") and len(getattr(X, "shape", ())) == 2 and X.shape[1] > 1:
        X = X.to_numpy()
    if isinstance(X, np.ndarray) and X.dtype.kind in "uifb":
        return [_digest(image) for image in X]
    try:
        images = check_images(X)
    except FeatrecError:
        return None
    found = [one for batch in map_batches(_of_batch, images, n_jobs=-1, shared_memory=True) for one in batch]
    return found if any(one is not None for one in found) else None


def _of_batch(images: Images) -> list[bytes | None]:
    return [_of_image(images, place) for place in range(len(images))]


def _of_image(images: Images, place: int) -> bytes | None:
    try:
        return _digest(images[place])
    except ImageError:
        return None


def _digest(image: np.ndarray) -> bytes:
    pixels = np.ascontiguousarray(image)
    digest = hashlib.blake2b(repr((pixels.shape, pixels.dtype.str)).encode(), digest_size=16)
    digest.update(pixels.view(np.uint8).data if pixels.size else b"")
    return digest.digest()
