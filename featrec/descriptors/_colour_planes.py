"""The channels of an image for dense descriptors, as separate arrays."""

from __future__ import annotations

import math

import cv2
import numpy as np

from featrec.images import as_float, as_gray, as_rgb

__all__ = ["SHARES", "colour_planes"]

# Weights of the channels in the contrast of a descriptor.
SHARES = {"gray": (1.0,), "rgb": (1 / 3, 1 / 3, 1 / 3), "opponent": (1.0, 0.0, 0.0), "hsv": (0.0, 0.0, 1.0)}
MONOCHROME = 0.01


def colour_planes(image: np.ndarray, color: str) -> tuple[np.ndarray, float]:
    """Channels of shape (n, h, w) in float32, always a copy, and the value of white.

    Gray values are not rescaled, because descriptors do not depend on the scale and a division would take another pass.
    """
    if color == "gray":
        white = 1.0 if image.dtype.kind == "f" else float(np.iinfo(image.dtype).max)
        return as_gray(image).astype(np.float32, order="C")[None], white
    rgb = as_float(as_rgb(image)).astype(np.float32)
    if color == "hsv":
        hue, saturation, value = cv2.split(cv2.cvtColor(rgb, cv2.COLOR_RGB2HSV))
        return np.stack([hue / 360, saturation, value]), 1.0
    if color == "opponent":
        red, green, blue = cv2.split(rgb)
        luma = as_gray(rgb)
        red_green, yellow_blue = (red - green) / math.sqrt(2), (red + green - 2 * blue) / math.sqrt(6)
        return np.stack([luma, red_green + MONOCHROME * luma, yellow_blue + MONOCHROME * luma]).astype(np.float32), 1.0
    return np.stack(cv2.split(rgb)), 1.0
