"""Rescale: stretch images that use only part of their value range."""

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
    """Stretch images that use only part of their value range to the full range.

    A 12-bit sensor writes values from 0 to 4095 into 16-bit files, in which white is 65535, so such scans look nearly black.
    If the value of white is known, set `max_value` or `bits`; images then stay comparable. Otherwise, each image is stretched
    between two of its own percentiles.

    Parameters
    ----------
    max_value : int, optional
        The value of white, such as 4095. It applies to integer types that can represent it: if a folder mixes 12-bit scans and
        8-bit images, the 8-bit images stay unchanged, and so do floats. A larger value in an image is an error.
    bits : int, optional
        Same as ``max_value=2**bits - 1``. Set at most one of the two.
    percentiles : tuple of (low, high), default=(0, 100)
        Percentiles of the image that become black and white if the value of white is not set; values outside are clipped.
        (0.5, 99.5) ignores dust and hot pixels. All channels are stretched alike, so that hues are kept. A flat image stays
        unchanged.

    Notes
    -----
    The data type is kept. Without a value of white, ``Rescale()`` makes dim images as bright as others and amplifies the noise
    of blank images. Set the value of white if you know it.

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
                f"Rescale: max_value={self.max_value} and bits={self.bits} both define white; set only one of them"
            )
        ends: Any = tuple(self.percentiles)
        if len(ends) != 2 or not all(isinstance(end, Real) for end in ends) or not 0 <= ends[0] < ends[1] <= 100:
            raise InputError(f"Rescale: percentiles must be (low, high) with 0 <= low < high <= 100; got {self.percentiles!r}")

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
            f"Rescale: white is set to {white}, but an image of {image.dtype} contains {image.max()}. "
            f"Set the largest possible value; bits={int(image.max()).bit_length()} includes this one."
        )
    top = np.iinfo(image.dtype).max
    return with_tones(image, lambda values: values * (top / white))


def _ends(image: np.ndarray, low: float, high: float) -> tuple[float, float]:
    """The values that become black and white, in [0, 1]; minimum and maximum if the percentiles coincide."""
    top = 1 if image.dtype.kind == "f" else np.iinfo(image.dtype).max
    black, white = np.percentile(image, (low, high))
    if black == white:
        black, white = image.min(), image.max()
    return float(black) / top, float(white) / top
