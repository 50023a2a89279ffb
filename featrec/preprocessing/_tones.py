"""Tone curves, and conversion of results to the data type of an image."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

__all__ = ["as_type", "with_tones"]


def with_tones(image: np.ndarray, curve: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """Apply `curve` to the values of an image as floats in [0, 1], keeping the data type.

    Integers use a lookup table of all possible values, so a power is computed 256 times instead of once per pixel.
    """
    if image.dtype.kind == "f":
        return as_type(curve(image), image.dtype)
    top = np.iinfo(image.dtype).max
    table = as_type(curve(np.arange(top + 1) / top), image.dtype)
    return table[image]


def as_type(values: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """Convert numbers to an image of the given type: clipped to [0, 1], and rounded for integer types."""
    values = np.clip(values, 0, 1)
    if dtype.kind == "f":
        return values.astype(dtype, copy=False)
    return np.rint(values * np.iinfo(dtype).max).astype(dtype)
