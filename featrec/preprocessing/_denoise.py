"""Denoise: remove noise with a median filter, a bilateral filter or non-local means."""

from __future__ import annotations

import cv2
import numpy as np

from featrec.base import StrOptions, positive_integer, real_number
from featrec.exceptions import InputError
from featrec.images import Preprocessor, as_float
from featrec.model_files import SizeLimit
from featrec.preprocessing._tones import as_type

__all__ = ["Denoise"]

# Maximum distance between the patches that non-local means compares, in pixels along each axis.
REACH = 10
SIZES = {"median": 3, "bilateral": 5, "nlm": 7}
# Maximum window size for which cv2's median supports types other than uint8. float64 is never supported.
LARGEST_FAST_MEDIAN = 5


class Denoise(Preprocessor):
    """Remove noise but preserve edges.

    Parameters
    ----------
    method : {"median", "bilateral", "nlm"}, default="median"
        How to remove noise:

        - "median": median of a window, for each channel. It removes single wrong pixels (dust, hot pixels,
          salt and pepper), but also thin lines.
        - "bilateral": weighted mean of the neighbours; neighbours with a very different gray value or colour have low weights.
        - "nlm": non-local means, the weighted mean of all pixels up to 10 pixels away; pixels with similar
          surroundings have high weights. It preserves texture best, but takes a hundred times as long as
          "bilateral".
    size : int, optional
        Side of the window in pixels; must be odd. For "nlm", the side of the compared surroundings. Default: 3 for "median", 5
        for "bilateral", 7 for "nlm".
    strength : float, default=0.1
        Tolerated difference (white is 1) of neighbours for "bilateral", or of surroundings for "nlm". For "nlm", a value
        slightly below the standard deviation of the noise works best. Ignored for "median".

    Notes
    -----
    The data type does not change. The bilateral filter and non-local means are computed in float32.

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
    _keeps_places = True

    def __init__(self, method: str = "median", *, size: int | None = None, strength: float = 0.1):
        self.method = method
        self.size = size
        self.strength = strength

    def _check_parameters(self) -> None:
        super()._check_parameters()
        if self.size is not None and self.size % 2 == 0:
            raise InputError(f"Denoise: size must be odd, because the window needs a centre; got {self.size}")

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
        from skimage.restoration import denoise_nl_means  # imported only here: the import takes a tenth of a second

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
