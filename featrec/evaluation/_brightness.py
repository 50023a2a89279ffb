"""Mean brightness of images, measured while a model reads them."""

from __future__ import annotations

from typing import Any

import numpy as np

from featrec.exceptions import FeatrecError, ImageError
from featrec.images import brightness, check_images, stacked
from featrec.lazy import Images, current_position

__all__ = ["Brightness"]


class Brightness:
    """Mean brightness of a batch of images. Pass the attribute `images` to a model, then call :meth:`values`.

    Images of a lazy sequence, such as an ImageFolder, are measured when the model reads them, so that they are decoded once.
    All other batches reach the model as they are, because a model may take only lists, arrays or tables; paths and encoded
    images in them are decoded again.
    """

    def __init__(self, images: Any):
        self.images = images
        self._source, self._note = _images_in(images), _Note()
        lazy = isinstance(images, Images) or getattr(images, "holds_images", False)
        if lazy and self._source is not None and len(self._source) and stacked(self._source) is None:
            self.images = self._source.then(self._note)

    def values(self, rows: np.ndarray | None = None) -> np.ndarray | None:
        """Return the mean of each image, or of those in `rows`. NaN: the image cannot be read. None: these are no images."""
        if self._source is None:
            return None
        chosen = self._source if rows is None else self._source.take(rows)
        means = [self._mean(chosen, row, int(position)) for row, position in enumerate(chosen.positions)]
        return np.array(means, np.float64)

    def _mean(self, images: Images, row: int, position: int) -> float:
        found = self._note.found.get(position)
        try:
            return brightness(images[row]) if found is None else found
        except ImageError:
            return float("nan")


class _Note:
    """A step that returns images unchanged, and keeps their brightness by their positions."""

    def __init__(self) -> None:
        self.found: dict[int, float] = {}

    def __call__(self, image: np.ndarray) -> np.ndarray:
        position = current_position()
        if position is not None:
            self.found[position] = brightness(image)
        return image


def _images_in(X: Any) -> Images | None:
    try:
        return check_images(X)
    except FeatrecError:  # such as codes
        return None
