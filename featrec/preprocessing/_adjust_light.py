"""AdjustLight: gamma, contrast and brightness."""

from __future__ import annotations

import numpy as np

from featrec.base import real_number
from featrec.images import Preprocessor
from featrec.preprocessing._tones import with_tones

__all__ = ["AdjustLight"]


class AdjustLight(Preprocessor):
    """Change gamma, contrast and brightness of all images by the same amount.

    A value v in [0, 1] becomes ``(v**gamma - 0.5) * contrast + 0.5 + brightness``, clipped to [0, 1].

    Parameters
    ----------
    gamma : float, default=1.0
        Values below 1 brighten shadows, values above 1 darken them. 0.5 is the square root tested by the authors of HOG; 2.2
        roughly converts encoded camera values to linear light.
    contrast : float, default=1.0
        Contrast factor, relative to middle gray.
    brightness : float, default=0.0
        Value added; 1 turns black into white.

    Notes
    -----
    The data type is kept; integers are rounded.

    Examples
    --------
    >>> import numpy as np
    >>> from featrec.preprocessing import AdjustLight
    >>> image = np.array([[0, 64, 128, 255]], np.uint8)
    >>> AdjustLight(0.5).apply(image).tolist()
    [[0, 128, 181, 255]]
    >>> AdjustLight(brightness=0.2).apply(image).tolist()
    [[51, 115, 179, 255]]
    """

    _parameter_constraints = {
        "gamma": [real_number(0, closed="neither")],
        "contrast": [real_number(0)],
        "brightness": [real_number(-1, 1)],
    }

    def __init__(self, gamma: float = 1.0, *, contrast: float = 1.0, brightness: float = 0.0):
        self.gamma = gamma
        self.contrast = contrast
        self.brightness = brightness

    def _change(self, image: np.ndarray) -> np.ndarray:
        if (self.gamma, self.contrast, self.brightness) == (1, 1, 0):
            return image
        return with_tones(image, self._curve)

    def _curve(self, values: np.ndarray) -> np.ndarray:
        return (values**self.gamma - 0.5) * self.contrast + (0.5 + self.brightness)
