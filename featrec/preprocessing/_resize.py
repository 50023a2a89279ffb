"""Resize: resize images to one size, or to fit into a box."""

from __future__ import annotations

from numbers import Integral
from typing import Any, Self

import cv2
import numpy as np

from featrec.base import StrOptions, Tags, check_is_fitted, positive_integer, real_number
from featrec.exceptions import ImageError, InputError
from featrec.images import Preprocessor, chained, check_images, scaling, stacked
from featrec.lazy import Images
from featrec.model_files import SizeLimit

__all__ = ["Resize"]

# Maximum number of training images whose sizes are read for "auto".
MEASURED = 1000
# "auto" chooses at least this side, unless its lower bound is smaller.
SHORTEST = 16


class Resize(Preprocessor):
    """Resize images to one size, or to fit into a box.

    Axes that shrink are averaged over areas, which avoids aliasing; axes that grow are interpolated linearly. Data type and
    number of channels do not change. An image that already has the target size is returned without a copy.

    Parameters
    ----------
    size : int, tuple of (height, width), or "auto"
        Target size; an int n means (n, n). "auto" chooses the size in `fit`: the median height and the median width of at most
        1,000 training images are scaled until their geometric mean is within `bounds`, then rounded to multiples of
        `multiple`. The minimum side is 16, or the lower bound if that is less.
    mode : {"stretch", "fit", "crop", "pad"}, default="stretch"
        How to handle images whose proportions differ from those of `size`:

        - "stretch": change the proportions to those of `size`.
        - "fit": keep the proportions and use the largest size that fits into `size`. One side of the result may
          be shorter, so images of different proportions have different sizes.
        - "crop": keep the proportions and use the smallest size that covers `size`, then cut off the excess
          equally on both sides.
        - "pad": resize as with "fit", then centre the image in `size` and fill the rest with `fill`.
    fill : "edge" or float, default="edge"
        What "pad" adds: "edge" repeats the border pixels, which does not create contours; a number is a gray value from 0
        (black) to 1 (white).
    bounds : tuple of (least, most), default=(28, 64)
        For "auto": minimum and maximum of the geometric mean of height and width, in pixels.
    multiple : int, default=4
        For "auto": height and width are rounded to multiples of this number; 4 matches HOG's automatic cells. With
        ``multiple=1``, images that all have the same size are not changed if this size is within `bounds`.

    Attributes
    ----------
    size_ : tuple of (height, width)
        The chosen size. Only exists after `fit` with ``size="auto"``.

    Examples
    --------
    >>> import numpy as np
    >>> from featrec.preprocessing import Resize
    >>> images = [np.zeros((60, 80), np.uint8), np.zeros((200, 100, 3), np.uint8)]
    >>> [image.shape for image in Resize((30, 50)).transform(images)]
    [(30, 50), (30, 50, 3)]
    >>> [image.shape for image in Resize(40, mode="fit").transform(images)]
    [(30, 40), (40, 20, 3)]
    >>> Resize("auto").fit(images).size_
    (76, 52)
    >>> Resize("auto", bounds=(8, 32), multiple=1).fit(images).size_
    (38, 27)
    """

    _parameter_constraints = {
        "size": [positive_integer(), tuple, list, StrOptions({"auto"})],
        "mode": [StrOptions({"stretch", "fit", "crop", "pad"})],
        "fill": [StrOptions({"edge"}), real_number(0, 1)],
        "bounds": [tuple, list],
        "multiple": [positive_integer()],
    }
    _file_limits = {"size": SizeLimit(2**26, sides=2), "size_": SizeLimit(2**26, sides=2)}

    def __init__(
        self,
        size: int | tuple[int, int] | str,
        *,
        mode: str = "stretch",
        fill: str | float = "edge",
        bounds: tuple[int, int] = (28, 64),
        multiple: int = 4,
    ):
        self.size = size
        self.mode = mode
        self.fill = fill
        self.bounds = bounds
        self.multiple = multiple

    def fit(self, X: Any, y: Any = None) -> Self:
        """Check the parameters and the type of input. With ``size="auto"``, choose the size."""
        super().fit(X, y)
        if self._is_automatic():
            self.size_ = _usual_size(check_images(X), (self.bounds[0], self.bounds[1]), int(self.multiple))
        return self

    def __sklearn_is_fitted__(self) -> bool:
        return not self._is_automatic() or hasattr(self, "size_")

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.requires_fit = self._is_automatic()
        return tags

    def _is_automatic(self) -> bool:
        return isinstance(self.size, str)

    def transform(self, X: Any) -> Images:
        self._check_parameters()
        if self._is_automatic():
            check_is_fitted(self, "size_", msg='%(name)s(size="auto") learns its size in fit; call fit first, or set a size.')
        images = check_images(X)
        # If no step is added, images from one array stay one array, which HOG and PatchCodes can describe at once.
        first = stacked(images[:1]) if len(images) else None
        return images if first is not None and first.shape[1:3] == self._box() else super().transform(images)

    def _check_parameters(self) -> None:
        super()._check_parameters()
        whole = all(isinstance(bound, Integral) and not isinstance(bound, bool) for bound in self.bounds)
        if len(self.bounds) != 2 or not whole or not 1 <= self.bounds[0] <= self.bounds[1]:
            raise InputError(f"Resize: bounds must be two integers with 1 <= least <= most; got {self.bounds!r}")
        if not self._is_automatic():
            self._box()

    def _box(self) -> tuple[int, int]:
        size: Any = self.size_ if self._is_automatic() else self.size
        sides = (size, size) if isinstance(size, Integral) else tuple(size)
        if len(sides) != 2 or not all(isinstance(side, Integral) and int(side) > 0 for side in sides):
            raise InputError(f"Resize: size must be a positive integer or a pair of them, (height, width); got {self.size!r}")
        return int(sides[0]), int(sides[1])

    def _change(self, image: np.ndarray) -> np.ndarray:
        box = self._box()
        image = _resized(image, self._scaled_size(image))
        if self.mode == "crop":
            return _centre(image, box)
        return _padded(image, box, self.fill) if self.mode == "pad" else image

    def _way_back(self, image: np.ndarray) -> np.ndarray:
        size = self._scaled_size(image)
        top, left = (0, 0) if self.mode == "fit" else _corner(size, self._box())
        return chained(scaling(size, image.shape), np.array([[1.0, 0, left], [0, 1, top]]))

    def _scaled_size(self, image: np.ndarray) -> tuple[int, int]:
        """Return the size to which an image is resized before it is cropped or padded."""
        return self._box() if self.mode == "stretch" else _scaled(image.shape, self._box(), fill=self.mode == "crop")


def _usual_size(images: Images, bounds: tuple[int, int], multiple: int) -> tuple[int, int]:
    """Return the size that "auto" chooses; unreadable images are skipped."""
    shapes: list[tuple[int, ...]] = []
    first: ImageError | None = None
    for position in np.unique(np.linspace(0, len(images) - 1, MEASURED).round().astype(int)) if len(images) else ():
        try:
            shapes.append(images[int(position)].shape[:2])
        except ImageError as error:
            first = first or error
    if not shapes:
        why = f"; the first error: {first}" if first else ""
        raise InputError(f'Resize(size="auto").fit needs at least one readable image; got none of {len(images)}{why}')
    height, width = np.median(shapes, axis=0)
    side = float(np.sqrt(height * width))
    scale = min(max(side, bounds[0]), bounds[1]) / side
    shortest = min(SHORTEST, bounds[0])
    rows, columns = (max(shortest, multiple * round(length * scale / multiple)) for length in (height, width))
    return rows, columns


def _scaled(found: tuple[int, ...], box: tuple[int, int], *, fill: bool) -> tuple[int, int]:
    """Return the largest size of the same proportions that fits into the box, or the smallest that covers it."""
    height, width = found[:2]
    by_height = (box[0], max(1, (2 * width * box[0] + height) // (2 * height)))
    by_width = (max(1, (2 * height * box[1] + width) // (2 * width)), box[1])
    return by_height if (box[0] * width <= box[1] * height) != fill else by_width


def _resized(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Average areas along axes that shrink, then interpolate linearly along axes that grow."""
    if image.shape[:2] == size:
        return image
    smaller = (min(image.shape[0], size[0]), min(image.shape[1], size[1]))
    dtype = image.dtype
    for shape, interpolation in ((smaller, cv2.INTER_AREA), (size, cv2.INTER_LINEAR)):
        if image.shape[:2] != shape:
            image = cv2.resize(image, shape[::-1], interpolation=interpolation)
    # Rounding can make a weighted sum of float32 values exceed 1.
    return np.clip(image, 0, 1, out=image) if dtype.kind == "f" else image


def _corner(size: tuple[int, ...], box: tuple[int, int]) -> tuple[int, int]:
    """Return the row and the column where a centred box starts in an image; they are negative if the box is larger."""
    top, left = (int((found - wanted) / 2) for found, wanted in zip(size, box, strict=False))
    return top, left


def _centre(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    top, left = _corner(image.shape, size)
    return np.ascontiguousarray(image[top : top + size[0], left : left + size[1]])


def _padded(image: np.ndarray, size: tuple[int, int], fill: str | float) -> np.ndarray:
    if image.shape[:2] == size:
        return image
    before = [-start for start in _corner(image.shape, size)]
    after = [size[axis] - image.shape[axis] - before[axis] for axis in range(2)]
    margins = [*zip(before, after, strict=True), *[(0, 0)] * (image.ndim - 2)]
    if isinstance(fill, str):
        return np.pad(image, margins, mode="edge")
    value = fill if image.dtype.kind == "f" else round(fill * np.iinfo(image.dtype).max)
    return np.pad(image, margins, constant_values=value)
