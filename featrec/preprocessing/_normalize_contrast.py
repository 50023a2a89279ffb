"""NormalizeContrast: the same mean and standard deviation for every image, or for every local window."""

from __future__ import annotations

import cv2
import numpy as np

from featrec.base import real_number
from featrec.images import Preprocessor, as_float, as_gray
from featrec.preprocessing._tones import as_type

__all__ = ["NormalizeContrast"]


class NormalizeContrast(Preprocessor):
    """Normalise the mean and the standard deviation of gray values, for the whole image or for local windows.

    Values are shifted and scaled to a mean of 0.5 and the standard deviation `spread`, and clipped to [0, 1]. Without a
    `window`, this removes differences in exposure between images. They matter for thresholds on gray values (the contrast
    thresholds of SIFT and AKAZE, ORB's corners) and for raw pixels. With a `window`, it also removes shadows within an image.

    Parameters
    ----------
    spread : float, default=0.2
        Target standard deviation (white is 1).
    window : float, optional
        For local normalisation: standard deviation of the Gaussian window around each pixel, as a share of the shorter side of
        the image. 0.1 suits an object that fills the image. Default: statistics of the whole image.
    floor : float, default=0.02
        Smallest standard deviation that is scaled up; below it, variation is treated as noise. Flat images and regions become
        gray.

    Notes
    -----
    The data type is kept. Statistics are computed on the luma and applied to all channels, so that hues are kept. HOG and SIFT
    descriptors already normalise contrast in blocks, so a window has little effect on them.

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
        """Mean and standard deviation: numbers for the whole image, or arrays with one number per pixel."""
        if self.window is None:
            return luma.mean(), luma.std()
        sigma = self.window * min(luma.shape)
        mean = _blurred(luma, sigma)
        # Differences are taken from each pixel's own local mean; a difference of squares would lose precision.
        return mean, np.sqrt(_blurred((luma - mean) ** 2, sigma))


def _blurred(values: np.ndarray, sigma: float) -> np.ndarray:
    return cv2.GaussianBlur(values, (0, 0), sigma, borderType=cv2.BORDER_REFLECT_101)
