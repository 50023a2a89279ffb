"""Deskew: leaning characters set upright."""

from __future__ import annotations

import numpy as np

from featrec.base import StrOptions
from featrec.compiled._deskew import lean, shear
from featrec.images import Preprocessor, as_gray

__all__ = ["Deskew"]


class Deskew(Preprocessor):
    """Set a leaning digit or letter upright, by a shear that its moments give.

    Writers lean to different degrees, which says nothing of the digit; taken off, the classes lie closer. Each row is moved
    sideways, in proportion to its distance from the centre of mass, until the mass no longer moves with the rows. For pictures
    of one character on an even ground; things that are low and wide, as shoes are, may be sheared far.

    Parameters
    ----------
    background : {"auto", "dark", "light"}, default="auto"
        Whether the ground is black or white: mass is what differs from it, and it fills what comes in from outside. "auto"
        takes it for white where the mean of the picture's outermost pixels is over half of white.
    center : bool, default=False
        Move the centre of mass to the picture's centre as well, down to parts of a pixel.

    Notes
    -----
    With the central moments of the luma, the skew is μ₁₁ / μ₀₂, and the value at x, y is the one that lay at
    x + skew · (y - ȳ), y, interpolated along the row. Size and type are kept; whole numbers are rounded. A
    picture of one value comes back as it is, and one whose mass lies in a single row is not sheared.

    Departures from OpenCV's digits sample: the rows turn about the centre of mass and not the picture's, and interpolation is
    exact and the same on every machine.

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

    _parameter_constraints = {"background": [StrOptions({"auto", "dark", "light"})], "center": ["boolean"]}

    def __init__(self, *, background: str = "auto", center: bool = False):
        self.background = background
        self.center = center

    def _change(self, image: np.ndarray) -> np.ndarray:
        white = 1.0 if image.dtype.kind == "f" else float(np.iinfo(image.dtype).max)
        luma = as_gray(image).astype(np.float64)
        if luma.min() == luma.max():
            return image
        outside = white if self._is_light(luma, white) else 0.0
        x, y, skew = _lean(np.abs(luma - outside))
        across, down = -skew * y, 0.0
        if self.center:
            middle = (luma.shape[1] - 1) / 2, (luma.shape[0] - 1) / 2
            across, down = x - middle[0] - skew * middle[1], y - middle[1]
        sheared = _sheared(image, skew, across, down, outside).clip(0, white)
        return (sheared if image.dtype.kind == "f" else np.rint(sheared)).astype(image.dtype)

    def _is_light(self, luma: np.ndarray, white: float) -> bool:
        if self.background != "auto":
            return self.background == "light"
        rim = np.ones(luma.shape, bool)
        rim[1:-1, 1:-1] = False
        return bool(luma[rim].mean() > white / 2)


def _lean(mass: np.ndarray) -> tuple[float, float, float]:
    """x and y of the centre of mass, and the skew."""
    found: np.ndarray = np.empty(3)
    lean(mass, found)
    x, y, skew = found.tolist()
    return x, y, skew


def _sheared(image: np.ndarray, skew: float, across: float, down: float, outside: float) -> np.ndarray:
    values = np.atleast_3d(image).astype(np.float64)
    sheared = np.empty_like(values)
    shear(values, skew, across, down, outside, sheared)
    return sheared.reshape(image.shape)
