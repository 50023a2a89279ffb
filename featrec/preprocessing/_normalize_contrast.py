"""NormalizeContrast: every image, or every place in it, to one mean and one spread."""

from __future__ import annotations

import cv2
import numpy as np

from featrec.base import real_number
from featrec.images import Preprocessor, as_float, as_gray
from featrec.preprocessing._tones import as_type

__all__ = ["NormalizeContrast"]


class NormalizeContrast(Preprocessor):
    """Bring every image, or every place in it, to one mean and one spread of gray values.

    The values are shifted and stretched so that their mean is 0.5 and their standard deviation `spread`, and cut off at black
    and white. Without a `window` this takes away differences of exposure between images, which
    thresholds on gray values see (SIFT's and AKAZE's contrast threshold, ORB's corners, raw pixels). With one
    it also takes away shadows within an image.

    Parameters
    ----------
    spread : float, default=0.2
        The standard deviation asked for, where white is 1.
    window : float, optional
        For local normalisation: the standard deviation, as a share of the image's shorter side, of the Gaussian under
        which mean and spread are taken around each pixel; 0.1 suits an object that fills the image. By default
        mean and spread are those of the whole image.
    floor : float, default=0.02
        A spread below it is taken for noise and not stretched further. A flat image, or a flat place, becomes gray.

    Notes
    -----
    The type is kept. Mean and spread are the luma's, and one stretch serves all channels, so that colours keep their hue.
    HOG and the SIFT descriptor itself normalise contrast within a block already; before them a window changes little.

    References
    ----------
    Jarrett, Kavukcuoglu, Ranzato and LeCun, "What is the best multi-stage architecture for object recognition?", 2009.

    Examples
    --------
    >>> import numpy as np
    >>> from featrec.preprocessing import NormalizeContrast
    >>> dark = np.random.default_rng(0).random((40, 40)) * 0.1
    >>> bright = dark * 3 + 0.6
    >>> [round(float(image.mean()), 2) for image in NormalizeContrast().transform([dark, bright])]
    [0.5, 0.5]
    """

    _parameter_constraints = {
        "spread": [real_number(0, 1, closed="right")],
        "window": [real_number(0, 1, closed="right"), None],
        "floor": [real_number(0, closed="neither")],
    }

    def __init__(self, spread: float = 0.2, *, window: float | None = None, floor: float = 0.02):
        self.spread = spread
        self.window = window
        self.floor = floor

    def _change(self, image: np.ndarray) -> np.ndarray:
        values = as_float(image)
        luma = as_gray(image) if image.dtype.kind == "f" else as_float(as_gray(image))
        mean, deviation = self._statistics(luma.astype(np.float64))
        slope = self.spread / np.maximum(deviation, self.floor)
        if image.ndim == 3 and self.window is not None:
            mean, slope = mean[..., None], slope[..., None]
        return as_type(0.5 + (values - mean) * slope, image.dtype)

    def _statistics(self, luma: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Numbers for the whole image, or arrays with a number for each pixel."""
        if self.window is None:
            return luma.mean(), luma.std()
        sigma = self.window * min(luma.shape)
        mean = _blurred(luma, sigma)
        # Each pixel's distance is taken from the mean around itself, which a difference of squares would lose to rounding.
        return mean, np.sqrt(_blurred((luma - mean) ** 2, sigma))


def _blurred(values: np.ndarray, sigma: float) -> np.ndarray:
    return cv2.GaussianBlur(values, (0, 0), sigma, borderType=cv2.BORDER_REFLECT_101)
