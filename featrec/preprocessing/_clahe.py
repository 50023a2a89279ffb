"""CLAHE: contrast equalised within tiles, and limited."""

from __future__ import annotations

from numbers import Integral
from typing import Any

import cv2
import numpy as np

from featrec.base import real_number
from featrec.exceptions import InputError
from featrec.images import Preprocessor, as_float, as_gray, as_uint8
from featrec.preprocessing._tones import as_type

__all__ = ["CLAHE"]


class CLAHE(Preprocessor):
    """Equalise contrast within tiles of the image, with a limit on how much noise is raised.

    For images that are dark in one part and bright in another. Each tile's histogram is cut at the limit and made as even
    as that allows; between the tiles' centres the gray values are interpolated.

    Parameters
    ----------
    clip_limit : float, default=2.0
        How steep a tile's curve of gray values may become, as a multiple of the even one's slope; the larger, the more
        contrast and the more noise.
    grid : tuple of (rows, columns), default=(8, 8)
        How many tiles there are; no more than the image has rows and columns.

    Notes
    -----
    The type is kept. Of colour images the luma is equalised and its change added to the three channels, as when Y of
    YCbCr is replaced, but without rounding the colours on the way.

    The curves are found on 8 bits; images of 16 bits and floats are changed by the difference, so detail within a step of
    1/255 stays. OpenCV's own 16-bit form cuts a histogram of 65536 bins at one pixel or more, so in tiles of fewer than
    65536 / `clip_limit` pixels its limit changes nothing. Use :class:`Rescale` first where a scan fills a part of its range.

    References
    ----------
    Zuiderveld, "Contrast limited adaptive histogram equalization", Graphics Gems IV, 1994.

    Examples
    --------
    >>> import numpy as np
    >>> from featrec.preprocessing import CLAHE
    >>> dim = np.arange(100, 164, dtype=np.uint8).reshape(8, 8).repeat(8, axis=0).repeat(8, axis=1)
    >>> int(np.ptp(dim)), bool(np.ptp(CLAHE(4.0, grid=(1, 1)).apply(dim)) > 200)
    (63, True)
    """

    _parameter_constraints = {"clip_limit": [real_number(0, closed="neither")], "grid": [tuple, list]}

    def __init__(self, clip_limit: float = 2.0, *, grid: tuple[int, int] = (8, 8)):
        self.clip_limit = clip_limit
        self.grid = grid

    def _check_parameters(self) -> None:
        super()._check_parameters()
        grid: Any = tuple(self.grid)
        if len(grid) != 2 or not all(isinstance(tiles, Integral) and int(tiles) > 0 for tiles in grid):
            raise InputError(f"CLAHE: grid is a pair (rows, columns) of positive whole numbers; got {self.grid!r}")

    def _change(self, image: np.ndarray) -> np.ndarray:
        luma = as_uint8(as_gray(image))
        equalised = self._equalised(luma)
        if image.dtype == np.uint8 and image.ndim == 2:
            return equalised
        difference = (equalised.astype(np.float32) - luma) / np.float32(255)
        return as_type(as_float(image) + (difference if image.ndim == 2 else difference[..., None]), image.dtype)

    def _equalised(self, luma: np.ndarray) -> np.ndarray:
        rows, columns = (min(tiles, side) for tiles, side in zip(self.grid, luma.shape, strict=True))
        return cv2.createCLAHE(clipLimit=float(self.clip_limit), tileGridSize=(int(columns), int(rows))).apply(luma)
