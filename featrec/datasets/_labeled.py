"""LabeledImages: images in memory with labels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from featrec.datasets._sequence import LabeledSequence
from featrec.exceptions import InputError
from featrec.images import read_image

__all__ = ["LabeledImages"]


class LabeledImages(LabeledSequence):
    """Images in memory, each with a label.

    LabeledImages are sliced like an array of shape (n,); a slice is a view and copies no image.

    Parameters
    ----------
    images : array of shape (n, h, w) or (n, h, w, 3), or list of arrays
        Read on access, as by :func:`featrec.images.read_image`; uint8 stays uint8.
    labels : sequence of str of length n
        The class of each image.
    classes : sequence of str, optional
        All classes, which must include every label. Default: the labels that occur, sorted.

    Attributes
    ----------
    labels : array of str of shape (n,)
    classes : list of str
    shape : tuple
        ``(n,)``.

    Raises
    ------
    InputError
        If the numbers of images and labels differ, or a label is not among the classes.

    Examples
    --------
    >>> import numpy as np
    >>> from featrec.datasets import LabeledImages
    >>> images = LabeledImages(np.zeros((4, 8, 8), np.uint8), ["cat", "dog", "dog", "cat"])
    >>> images[0].shape, images[1:3].labels.tolist()
    ((8, 8), ['dog', 'dog'])
    """

    def __init__(
        self,
        images: np.ndarray | Sequence[np.ndarray],
        labels: Sequence[str] | np.ndarray,
        classes: Sequence[str] | None = None,
    ):
        labels = np.asarray(labels, dtype=str)
        if labels.shape != (len(images),):
            raise InputError(f"expected one label for each image; got {len(images)} images and labels {labels.shape}")
        found = np.unique(labels).tolist()
        classes = found if classes is None else list(classes)
        unknown = sorted(set(found) - set(classes))
        if unknown:
            raise InputError(f"the labels {unknown} are not among the classes {classes}; add them to classes")
        super().__init__(images, labels, classes)

    @property
    def positions(self) -> np.ndarray:
        """Positions of the images in the original sequence; error messages use them."""
        return self._positions

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        images = list(self)
        sizes = {image.shape for image in images}
        if len(sizes) > 1:
            raise InputError(
                f"np.asarray needs images of one shape; found {len(sizes)} shapes, such as {sorted(sizes, key=str)[:2]}. "
                "Use featrec.preprocessing.Resize first, or iterate."
            )
        return np.array(images, dtype=dtype)

    def __repr__(self) -> str:
        return f"LabeledImages({len(self)} images, {len(self.classes)} classes)"

    def _image(self, item: Any) -> np.ndarray:
        return read_image(item)
