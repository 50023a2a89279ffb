"""Ways back: affine maps from positions in a changed image to positions in the original image.

A way back is an array of shape (2, 3), float64. It maps (x, y, 1) in the changed image to (x, y) in the original image; the
centre of the first pixel is (0, 0) in both.
"""

from __future__ import annotations

import numpy as np

__all__ = ["chained", "same_place", "scaling"]


def same_place() -> np.ndarray:
    """Return the way back of a change that moves no pixel."""
    return np.eye(2, 3)


def scaling(changed: tuple[int, ...], original: tuple[int, ...]) -> np.ndarray:
    """Return the way back of a resizing; the arguments are the shapes of both images.

    The borders of the images coincide: -0.5 is the left border, and width - 0.5 the right border.
    """
    scale = np.array([original[1] / changed[1], original[0] / changed[0]])
    return np.column_stack([np.diag(scale), (scale - 1) / 2])


def chained(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Return the way back of two changes in this order."""
    return np.column_stack([first[:, :2] @ second[:, :2], first[:, :2] @ second[:, 2] + first[:, 2]])
