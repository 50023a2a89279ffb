"""Rescale: images that use a part of their type's range, spread over all of it."""

from __future__ import annotations

from numbers import Integral, Real
from typing import Any

import numpy as np

from featrec.base import Interval, positive_integer
from featrec.exceptions import InputError, UnsupportedImageError
from featrec.images import Preprocessor
from featrec.preprocessing._tones import with_tones

__all__ = ["Rescale"]


class Rescale(Preprocessor):
    """Spread images that use a part of their range over all of it.

    A sensor of 12 bits writes 0 to 4095 into files of 16 bits, whose white is 65535; read as they stand, such scans are
    nearly black. Where it is known what white is, `max_value` or `bits` says so, and images stay comparable with one another.
    Where it is not, each image is stretched between two of its own percentiles.

    Parameters
    ----------
    max_value : int, optional
        The value of white, such as 4095. It holds for whole-number images whose type can hold it: in a folder that mixes
        12-bit scans with 8-bit images the latter stay as they are, and floats do, too. A larger value in an image is
        an error, since white was then something else.
    bits : int, optional
        The same as ``max_value=2**bits - 1``. Give one of the two, or none.
    percentiles : tuple of (low, high), default=(0, 100)
        Used where white is not declared: the value that `low` percent of an image's numbers do not pass becomes black,
        that of `high` percent white, and what lies outside is cut off. (0.5, 99.5) ignores dust and hot pixels. All
        channels share one stretch, so that colours keep their hue. A flat image stays as it is.

    Notes
    -----
    The type is kept. ``Rescale()`` without a declared white makes a dim image as bright as any other, and a
    blank one with noise into noise; declare white where you know it.

    Examples
    --------
    >>> import numpy as np
    >>> from featrec.preprocessing import Rescale
    >>> scan = np.array([[0, 1024, 4095]], np.uint16)
    >>> Rescale(bits=12).apply(scan).tolist()
    [[0, 16388, 65535]]
    >>> Rescale().apply(np.array([[100, 120, 150]], np.uint8)).tolist()
    [[0, 102, 255]]
    """

    _parameter_constraints = {
        "max_value": [positive_integer(), None],
        "bits": [Interval(Integral, 1, 16, closed="both"), None],
        "percentiles": [tuple, list],
    }

    def __init__(
        self, max_value: int | None = None, *, bits: int | None = None, percentiles: tuple[float, float] = (0.0, 100.0)
    ):
        self.max_value = max_value
        self.bits = bits
        self.percentiles = percentiles

    def _check_parameters(self) -> None:
        super()._check_parameters()
        if self.max_value is not None and self.bits is not None:
            raise InputError(
                f"Rescale: max_value={self.max_value} and bits={self.bits} both say what white is; give one of them"
            )
        ends: Any = tuple(self.percentiles)
        if len(ends) != 2 or not all(isinstance(end, Real) for end in ends) or not 0 <= ends[0] < ends[1] <= 100:
            raise InputError(f"Rescale: percentiles is (low, high) with 0 <= low < high <= 100; got {self.percentiles!r}")

    def _change(self, image: np.ndarray) -> np.ndarray:
        white = 2**self.bits - 1 if self.bits is not None else self.max_value
        if white is not None:
            return _declared(image, white)
        low, high = _ends(image, *self.percentiles)
        return image if low == high else with_tones(image, lambda values: (values - low) / (high - low))


def _declared(image: np.ndarray, white: int) -> np.ndarray:
    if image.dtype.kind == "f" or np.iinfo(image.dtype).max <= white:
        return image
    if image.max() > white:
        raise UnsupportedImageError(
            f"Rescale: white was said to be {white}; found {image.max()} in an image of {image.dtype}. "
            f"Give the largest value that is possible: bits={int(image.max()).bit_length()} holds this one."
        )
    top = np.iinfo(image.dtype).max
    return with_tones(image, lambda values: values * (top / white))


def _ends(image: np.ndarray, low: float, high: float) -> tuple[float, float]:
    """What becomes black and white, in [0, 1]; the extremes where so many pixels are alike that the percentiles coincide."""
    top = 1 if image.dtype.kind == "f" else np.iinfo(image.dtype).max
    black, white = np.percentile(image, (low, high))
    if black == white:
        black, white = image.min(), image.max()
    return float(black) / top, float(white) / top
