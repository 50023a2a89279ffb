"""CLAHE: contrast-limited adaptive histogram equalization."""

from __future__ import annotations

from numbers import Integral
from typing import Any

import cv2
import numpy as np

from featrec.base import real_number
from featrec.exceptions import InputError
from featrec.images import Preprocessor, as_float, as_gray, as_uint8
from featrec.model_files import SizeLimit
from featrec.preprocessing._tones import as_type

__all__ = ["CLAHE"]


class CLAHE(Preprocessor):
    """Equalise contrast within tiles of the image, with a limit that avoids amplifying noise.

    For images with dark and bright parts. The histogram of each tile is clipped at the limit and equalised; gray values are
    interpolated between the centres of tiles.

    Parameters
    ----------
    clip_limit : float, default=2.0
        Maximum slope of a tile's tone curve, relative to a uniform histogram. Larger values give more contrast and more noise.
    grid : tuple of (rows, columns), default=(8, 8)
        Number of tiles, at most the rows and columns of the image.

    Notes
    -----
    The data type is kept. In colour images, the luma is equalised and its change is added to the three channels. This equals
    replacing Y of YCbCr, but without intermediate rounding.

    Tone curves are computed with 8 bits. 16-bit and float images are changed by the difference, which keeps details finer than
    1/255. OpenCV's own 16-bit version clips a histogram of 65536 bins at one pixel or more, so its limit has no effect in
    tiles with fewer than 65536 / `clip_limit` pixels. Use :class:`Rescale` first for scans that use only part of their range.

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
    _file_limits = {"grid": SizeLimit(2**16, sides=2)}

    def __init__(self, clip_limit: float = 2.0, *, grid: tuple[int, int] = (8, 8)):
        self.clip_limit = clip_limit
        self.grid = grid

    def _check_parameters(self) -> None:
        super()._check_parameters()
        grid: Any = tuple(self.grid)
        if len(grid) != 2 or not all(isinstance(tiles, Integral) and int(tiles) > 0 for tiles in grid):
            raise InputError(f"CLAHE: grid must be a pair (rows, columns) of positive integers; got {self.grid!r}")

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
