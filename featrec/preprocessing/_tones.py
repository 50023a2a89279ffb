"""Gray values changed one by one, and numbers brought back to an image's own type."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

__all__ = ["as_type", "with_tones"]


def with_tones(image: np.ndarray, curve: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """The image with `curve` applied to its values, which it sees in [0, 1]; the type is kept.

    Whole numbers go through a table of all their values: a power is then taken 256 times and not once for each pixel.
    """
    if image.dtype.kind == "f":
        return as_type(curve(image), image.dtype)
    top = np.iinfo(image.dtype).max
    table = as_type(curve(np.arange(top + 1) / top), image.dtype)
    return table[image]


def as_type(values: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """Numbers around [0, 1] as an image of the type: cut off at black and white, and rounded where it is whole."""
    values = np.clip(values, 0, 1)
    if dtype.kind == "f":
        return values.astype(dtype, copy=False)
    return np.rint(values * np.iinfo(dtype).max).astype(dtype)
