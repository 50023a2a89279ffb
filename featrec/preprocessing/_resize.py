"""Resize: pictures of any size to one size, or into one box."""

from __future__ import annotations

from numbers import Integral
from typing import Any

import cv2
import numpy as np

from featrec.base import StrOptions, positive_integer, real_number
from featrec.exceptions import InputError
from featrec.images import Preprocessor

__all__ = ["Resize"]


class Resize(Preprocessor):
    """Bring pictures to one size, or into one box.

    An axis that shrinks is averaged over areas, so that fine texture does not alias; an axis that grows is interpolated
    linearly. Type and channels are kept. A picture that has the size already is returned itself, not a copy.

    Parameters
    ----------
    size : int or tuple of (height, width)
        An int n means the square (n, n).
    mode : {"stretch", "fit", "crop", "pad"}, default="stretch"
        What happens to a picture of another shape than `size`:

        - "stretch": it is distorted to `size`.
        - "fit": it keeps its shape and becomes as large as fits into `size`; one side has the length asked for and the
          other may be shorter, so pictures of different shapes keep different sizes.
        - "crop": it keeps its shape and fills `size`; what stands over is cut off on both sides alike.
        - "pad": as "fit", then centred in `size`, and the rest is filled with `fill`.
    fill : "edge" or float, default="edge"
        For "pad": "edge" repeats the outermost pixels, which adds no contours that a detector could take for the
        picture's; a number is a gray value from 0 (black) to 1 (white).

    Examples
    --------
    >>> import numpy as np
    >>> from featrec.preprocessing import Resize
    >>> pictures = [np.zeros((60, 80), np.uint8), np.zeros((200, 100, 3), np.uint8)]
    >>> [image.shape for image in Resize((30, 50)).transform(pictures)]
    [(30, 50), (30, 50, 3)]
    >>> [image.shape for image in Resize(40, mode="fit").transform(pictures)]
    [(30, 40), (40, 20, 3)]
    """

    _parameter_constraints = {
        "size": [positive_integer(), tuple, list],
        "mode": [StrOptions({"stretch", "fit", "crop", "pad"})],
        "fill": [StrOptions({"edge"}), real_number(0, 1)],
    }

    def __init__(self, size: int | tuple[int, int], *, mode: str = "stretch", fill: str | float = "edge"):
        self.size = size
        self.mode = mode
        self.fill = fill

    def _check_parameters(self) -> None:
        super()._check_parameters()
        self._box()

    def _box(self) -> tuple[int, int]:
        size: Any = self.size
        sides = (size, size) if isinstance(size, Integral) else tuple(size)
        if len(sides) != 2 or not all(isinstance(side, Integral) and int(side) > 0 for side in sides):
            raise InputError(f"Resize: size is a positive whole number or a pair (height, width) of them; got {self.size!r}")
        return int(sides[0]), int(sides[1])

    def _change(self, image: np.ndarray) -> np.ndarray:
        box, found = self._box(), (image.shape[0], image.shape[1])
        if self.mode == "stretch":
            return _resized(image, box)
        if self.mode == "crop":
            return _centre(_resized(image, _scaled(found, box, fill=True)), box)
        image = _resized(image, _scaled(found, box, fill=False))
        return image if self.mode == "fit" else _padded(image, box, self.fill)


def _scaled(found: tuple[int, int], box: tuple[int, int], *, fill: bool) -> tuple[int, int]:
    """The size of the same shape that fits into the box, or that fills it; one side is the box's."""
    height, width = found
    by_height = (box[0], max(1, (2 * width * box[0] + height) // (2 * height)))
    by_width = (max(1, (2 * height * box[1] + width) // (2 * width)), box[1])
    return by_height if (box[0] * width <= box[1] * height) != fill else by_width


def _resized(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Areas along the axes that shrink first, then lines along those that grow."""
    if image.shape[:2] == size:
        return image
    smaller = (min(image.shape[0], size[0]), min(image.shape[1], size[1]))
    dtype = image.dtype
    for shape, interpolation in ((smaller, cv2.INTER_AREA), (size, cv2.INTER_LINEAR)):
        if image.shape[:2] != shape:
            image = cv2.resize(image, shape[::-1], interpolation=interpolation)
    # A sum of weighted float32 ones can pass 1 by a rounding error.
    return np.clip(image, 0, 1, out=image) if dtype.kind == "f" else image


def _centre(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    top, left = (image.shape[0] - size[0]) // 2, (image.shape[1] - size[1]) // 2
    return np.ascontiguousarray(image[top : top + size[0], left : left + size[1]])


def _padded(image: np.ndarray, size: tuple[int, int], fill: str | float) -> np.ndarray:
    if image.shape[:2] == size:
        return image
    missing = [total - found for total, found in zip(size, image.shape, strict=False)]
    margins = [(side // 2, side - side // 2) for side in missing] + [(0, 0)] * (image.ndim - 2)
    if isinstance(fill, str):
        return np.pad(image, margins, mode="edge")
    value = fill if image.dtype.kind == "f" else round(fill * np.iinfo(image.dtype).max)
    return np.pad(image, margins, constant_values=value)
