"""From one representation of the same picture to another; what a value means is decided here.

A decoded picture is uint8, uint16 or a float in [0, 1], of shape (h, w) or (h, w, 3).
"""

from __future__ import annotations

import cv2
import numpy as np

__all__ = ["as_float", "as_gray", "as_rgb", "as_uint8"]


def as_gray(image: np.ndarray) -> np.ndarray:
    """The luma of a colour picture (0.299 R + 0.587 G + 0.114 B); a gray one as it is. The type is kept."""
    if image.ndim == 2:
        return image
    if image.dtype == np.float64:
        return image @ np.array([0.299, 0.587, 0.114])
    return cv2.cvtColor(np.ascontiguousarray(image), cv2.COLOR_RGB2GRAY)


def as_rgb(image: np.ndarray) -> np.ndarray:
    """A gray picture as three equal channels; a colour one as it is."""
    return image if image.ndim == 3 else np.repeat(image[..., None], 3, axis=2)


def as_float(image: np.ndarray) -> np.ndarray:
    """Values in [0, 1]: float32 for integers, floats as they are."""
    if image.dtype.kind == "f":
        return image
    return image.astype(np.float32) / np.float32(np.iinfo(image.dtype).max)


def as_uint8(image: np.ndarray) -> np.ndarray:
    """Values in 0..255, rounded."""
    if image.dtype == np.uint8:
        return image
    return np.rint(as_float(image) * 255).astype(np.uint8)
