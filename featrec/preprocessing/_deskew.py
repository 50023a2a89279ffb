"""Deskew: straighten slanted characters."""

from __future__ import annotations

from typing import Any, Self

import numpy as np

from featrec.base import StrOptions, Tags, check_is_fitted
from featrec.compiled._pixels import shear
from featrec.images import Preprocessor, as_gray, check_images, nearest, same_place, similarities, thumbnails
from featrec.lazy import Images

__all__ = ["Deskew"]

# For "auto": side of the thumbnails, and minimum improvement by deskewing, in standard deviations.
SIDE, CLEARLY = 14, 3.0


class Deskew(Preprocessor):
    """Straighten a slanted digit or letter by a shear that is computed from its moments.

    Writers slant characters by different angles, but the slant is irrelevant to the class. Without the slant, images of a class
    are more alike. Each row is shifted in proportion to its distance from the centre of mass. Use this step for images of one
    character on a uniform background. It may strongly distort wide, low objects such as shoes.

    Parameters
    ----------
    background : {"auto", "dark", "light"}, default="auto"
        Whether the background is dark or light. Areas outside the image are filled with the background, and the mass of a pixel
        is its difference from the background. "auto" means light if the mean of the border pixels is above half the white
        value, else dark.
    center : bool, default=False
        Also move the centre of mass to the centre of the image, with subpixel accuracy.
    when : {"always", "auto"}, default="always"
        When to straighten images. "auto" decides in `fit`, which then needs labels: it classifies up to 4,000 training images
        by the nearest neighbours of their thumbnails, with and without straightening. Images are straightened if this increases
        the number of correctly classified images by at least three standard deviations. This is the case for handwriting, but
        not for objects.

    Attributes
    ----------
    applied_ : bool
        Whether images are straightened. Only exists after `fit` with ``when="auto"``.

    Notes
    -----
    The skew is μ₁₁ / μ₀₂, where μ are the central moments of the luma. The new value at (x, y) is the old value at
    (x + skew · (y - ȳ), y), interpolated along the row. Size and data type do not change; integers are rounded. Uniform images
    are returned unchanged, and images whose mass is in a single row are not sheared.

    There are two differences from OpenCV's digits sample: the shear is relative to the centre of mass, not to the centre of the
    image, and the interpolation is exact and gives the same result on every machine.

    References
    ----------
    .. [1] Y. LeCun, L. Bottou, Y. Bengio and P. Haffner, "Gradient-based learning applied to document recognition",
       Proceedings of the IEEE 86, 1998.

    Examples
    --------
    >>> import numpy as np
    >>> from featrec.preprocessing import Deskew
    >>> leaning = np.fliplr(np.eye(5)).astype(np.uint8)
    >>> Deskew(background="dark").apply(leaning)[:, 2]
    array([1, 1, 1, 1, 1], dtype=uint8)
    """

    _parameter_constraints = {
        "background": [StrOptions({"auto", "dark", "light"})],
        "center": ["boolean"],
        "when": [StrOptions({"always", "auto"})],
    }

    def __init__(self, *, background: str = "auto", center: bool = False, when: str = "always"):
        self.background = background
        self.center = center
        self.when = when

    def fit(self, X: Any, y: Any = None) -> Self:
        """Check the parameters and the type of input. With ``when="auto"``, decide whether to straighten images.

        Parameters
        ----------
        X : images
        y : array-like of shape (n_images,), optional
            Labels for ``when="auto"``. Without labels, images are not straightened.

        Returns
        -------
        self
        """
        super().fit(X, y)
        if self.when == "auto":
            self.applied_ = y is not None and self._helps(check_images(X), y)
        return self

    def transform(self, X: Any) -> Images:
        if self._is_applied():
            return super().transform(X)
        self._check_parameters()
        return check_images(X)

    def _is_applied(self) -> bool:
        if self.when != "auto":
            return True
        check_is_fitted(
            self, "applied_", msg='%(name)s(when="auto") decides in fit whether to straighten images; call fit first.'
        )
        return self.applied_

    def __sklearn_is_fitted__(self) -> bool:
        return self.when != "auto" or hasattr(self, "applied_")

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.requires_fit = self.when == "auto"
        return tags

    def _helps(self, images: Images, labels: Any) -> bool:
        pixels, labels = thumbnails(images, labels, SIDE, (np.asarray, self._straightened))
        if pixels.shape[1] < 2:
            return False
        before, after = (nearest(similarities(one, one), labels) for one in pixels)
        won, lost = int((after & ~before).sum()), int((before & ~after).sum())
        return bool(won - lost > CLEARLY * np.sqrt(won + lost))

    def _change(self, image: np.ndarray) -> np.ndarray:
        return self._straightened(image) if self._is_applied() else image

    def _straightened(self, image: np.ndarray) -> np.ndarray:
        white = _white(image)
        shear = self._shear(image, white)
        if shear is None:
            return image
        sheared = _sheared(image, *shear).clip(0, white)
        return (sheared if image.dtype.kind == "f" else np.rint(sheared)).astype(image.dtype)

    def _way_back(self, image: np.ndarray) -> np.ndarray:
        shear = self._shear(image, _white(image)) if self._is_applied() else None
        if shear is None:
            return same_place()
        skew, across, down, _ = shear
        return np.array([[1, skew, across], [0, 1, down]])

    def _shear(self, image: np.ndarray, white: float) -> tuple[float, float, float, float] | None:
        """Return the skew, the shift to the right, the shift down and the background, or None for a uniform image."""
        luma = as_gray(image).astype(np.float64)
        if luma.min() == luma.max():
            return None
        outside = white if self._is_light(luma, white) else 0.0
        x, y, skew = _lean(np.abs(luma - outside))
        across, down = -skew * y, 0.0
        if self.center:
            middle = (luma.shape[1] - 1) / 2, (luma.shape[0] - 1) / 2
            across, down = x - middle[0] - skew * middle[1], y - middle[1]
        return skew, across, down, outside

    def _is_light(self, luma: np.ndarray, white: float) -> bool:
        if self.background != "auto":
            return self.background == "light"
        rim = np.ones(luma.shape, bool)
        rim[1:-1, 1:-1] = False
        return bool(luma[rim].mean() > white / 2)


def _white(image: np.ndarray) -> float:
    return 1.0 if image.dtype.kind == "f" else float(np.iinfo(image.dtype).max)


def _lean(mass: np.ndarray) -> tuple[float, float, float]:
    """Return x and y of the centre of mass, and the skew."""
    total, columns, rows = mass.sum(), np.arange(mass.shape[1]), np.arange(mass.shape[0])
    by_row = mass.sum(axis=1)
    x, y = float(mass.sum(axis=0) @ columns / total), float(by_row @ rows / total)
    product, square = float((rows - y) @ mass @ (columns - x)), float(by_row @ (rows - y) ** 2)
    return x, y, product / square if square > 1e-9 * total else 0.0


def _sheared(image: np.ndarray, skew: float, across: float, down: float, outside: float) -> np.ndarray:
    values = np.atleast_3d(image).astype(np.float64)
    sheared = np.empty_like(values)
    shear(values, skew, across, down, outside, sheared)
    return sheared.reshape(image.shape)
