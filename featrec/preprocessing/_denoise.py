"""Denoise: median filter, bilateral filter, non-local means."""

from __future__ import annotations

import cv2
import numpy as np

from featrec.base import StrOptions, positive_integer, real_number
from featrec.exceptions import InputError
from featrec.images import Preprocessor, as_float
from featrec.model_files import SizeLimit
from featrec.preprocessing._tones import as_type

__all__ = ["Denoise"]

# Non-local means compares patches up to this many pixels away, in each direction.
REACH = 10
SIZES = {"median": 3, "bilateral": 5, "nlm": 7}
# Largest window of cv2's median for all types except float64; larger windows work only for uint8.
LARGEST_FAST_MEDIAN = 5


class Denoise(Preprocessor):
    """Remove noise and keep edges.

    Parameters
    ----------
    method : {"median", "bilateral", "nlm"}, default="median"
        Method:

        - "median": the median of a window, for each channel. Removes single wrong pixels (dust, hot pixels,
          salt and pepper), but also thin lines.
        - "bilateral": a weighted mean of neighbours, with low weights for different gray values or colours.
        - "nlm": a mean of pixels up to 10 away with similar surroundings (non-local means). Keeps texture
          best, and takes a hundred times as long as the bilateral filter.
    size : int, optional
        Side of the window; must be odd. Default: 3 for the median, 5 for the bilateral filter, and 7 (the compared
        surroundings) for non-local means.
    strength : float, default=0.1
        Tolerated difference (white is 1) of neighbours in "bilateral", or of surroundings in "nlm"; for "nlm", slightly less
        than the standard deviation of the noise works best. The median ignores it.

    Notes
    -----
    The data type is kept. The bilateral filter and non-local means compute in float32.

    References
    ----------
    Tomasi and Manduchi, "Bilateral filtering for gray and color images", 1998.
    Buades, Coll and Morel, "A non-local algorithm for image denoising", 2005.

    Examples
    --------
    >>> import numpy as np
    >>> from featrec.preprocessing import Denoise
    >>> image = np.full((5, 5), 80, np.uint8)
    >>> image[2, 2] = 255
    >>> int(Denoise().apply(image).max())
    80
    """

    _parameter_constraints = {
        "method": [StrOptions(set(SIZES))],
        "size": [positive_integer(), None],
        "strength": [real_number(0, 1, closed="right")],
    }
    _file_limits = {"size": SizeLimit(255)}

    def __init__(self, method: str = "median", *, size: int | None = None, strength: float = 0.1):
        self.method = method
        self.size = size
        self.strength = strength

    def _check_parameters(self) -> None:
        super()._check_parameters()
        if self.size is not None and self.size % 2 == 0:
            raise InputError(f"Denoise: size must be odd, so that the window has a centre; got {self.size}")

    def _change(self, image: np.ndarray) -> np.ndarray:
        size = int(SIZES[self.method] if self.size is None else self.size)
        if self.method == "median":
            return _median(image, size)
        values = as_float(image).astype(np.float32, copy=False)
        smooth = self._bilateral(values, size) if self.method == "bilateral" else self._non_local(values, size)
        return as_type(smooth, image.dtype)

    def _bilateral(self, values: np.ndarray, size: int) -> np.ndarray:
        return cv2.bilateralFilter(values, size, self.strength, size / 2)

    def _non_local(self, values: np.ndarray, size: int) -> np.ndarray:
        from skimage.restoration import denoise_nl_means  # importing takes a tenth of a second, which other steps avoid

        channels = -1 if values.ndim == 3 else None
        smooth = denoise_nl_means(values, size, REACH, self.strength, channel_axis=channels)
        return smooth.reshape(values.shape)  # scikit-image drops axes of length one


def _median(image: np.ndarray, size: int) -> np.ndarray:
    fast = image.dtype == np.uint8 or (size <= LARGEST_FAST_MEDIAN and image.dtype != np.float64)
    if fast:
        return cv2.medianBlur(image, size)
    from skimage.filters import median

    footprint = np.ones((size, size) + (1,) * (image.ndim - 2), bool)
    return median(image, footprint, mode="nearest")
