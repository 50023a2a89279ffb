"""Convert images between gray and RGB and between data types.

A decoded image is a contiguous array of shape (h, w) or (h, w, 3), of type uint8, uint16, or float32 or float64 in [0, 1].
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np

from featrec.exceptions import EmptyImageError, UnsupportedImageError

__all__ = [
    "as_float",
    "as_gray",
    "as_rgb",
    "as_uint8",
    "check_dtype",
    "check_float",
    "has_colour",
    "image_from_array",
    "on_white",
]


def as_gray(image: np.ndarray) -> np.ndarray:
    """Convert to gray (0.299 R + 0.587 G + 0.114 B) with the same data type; a gray image is returned unchanged."""
    if image.ndim == 2:
        return image
    if image.dtype == np.float64:
        return np.minimum(image @ np.array([0.299, 0.587, 0.114]), 1.0)
    gray = cv2.cvtColor(np.ascontiguousarray(image), cv2.COLOR_RGB2GRAY)
    return np.minimum(gray, np.float32(1)) if gray.dtype == np.float32 else gray


def as_rgb(image: np.ndarray) -> np.ndarray:
    """Convert a gray image to three equal channels; a colour image is returned unchanged."""
    return image if image.ndim == 3 else np.repeat(image[..., None], 3, axis=2)


def has_colour(image: np.ndarray) -> bool:
    """Return whether an image has three channels that are not all equal."""
    return image.ndim == 3 and not bool((image == image[..., :1]).all())


def as_float(image: np.ndarray) -> np.ndarray:
    """Convert to values in [0, 1]. Integers become float32; floats are returned unchanged."""
    if image.dtype.kind == "f":
        return image
    return image.astype(np.float32) / np.float32(np.iinfo(image.dtype).max)


def as_uint8(image: np.ndarray) -> np.ndarray:
    """Convert to integers from 0 to 255, with rounding."""
    if image.dtype == np.uint8:
        return image
    return np.rint(as_float(image) * 255).astype(np.uint8)


def image_from_array(image: np.ndarray) -> np.ndarray:
    """Convert an array of any supported shape and type to a decoded image; a decoded image is not copied."""
    if np.ma.is_masked(image):
        raise UnsupportedImageError("masked pixels are not supported; image.filled(0) sets them to 0")
    image = np.asarray(image)
    if image.ndim not in (2, 3) or (image.ndim == 3 and image.shape[2] not in (1, 3, 4)):
        channels_first = image.ndim == 3 and image.shape[0] in (1, 3, 4)
        way_out = ". The channels must be the last axis: use image.transpose(1, 2, 0)." if channels_first else ""
        raise UnsupportedImageError(f"expected an array of shape (h, w) or (h, w, 3); got shape {image.shape}{way_out}")
    if 0 in image.shape:
        raise EmptyImageError(f"the image has {image.shape[0]} rows and {image.shape[1]} columns; both must be at least 1")
    image = _native(image)
    if image.ndim == 3 and image.shape[2] == 1:
        image = image[..., 0]
    elif image.ndim == 3 and image.shape[2] == 4:
        image = on_white(image)
    return np.ascontiguousarray(image)


def _native(image: np.ndarray) -> np.ndarray:
    check_dtype(image.dtype)
    if image.dtype == bool:
        return image.astype(np.uint8) * np.uint8(255)
    if image.dtype.kind == "f":
        return check_float(image)
    return image.astype(image.dtype.newbyteorder("="), copy=False)


def check_dtype(dtype: np.dtype) -> None:
    """Raise an error for data types without a defined range of pixel values."""
    if dtype.kind in "bf" or (dtype.kind == "u" and dtype.itemsize <= 2):
        return
    way_out = "If the values are 0 to 255, use image.astype(np.uint8)." if dtype.kind in "iu" else "Convert them."
    raise UnsupportedImageError(
        f"images of type {dtype} are not supported; use uint8 (0-255), uint16 (0-65535), bool or floats in [0, 1]. {way_out}"
    )


def check_float(image: np.ndarray) -> np.ndarray:
    """Return floats in [0, 1] as float32 or float64; raise an error for other values."""
    low, high = image.min(), image.max()
    if np.isnan(low) or np.isnan(high):
        raise UnsupportedImageError("float images must contain values in [0, 1]; found NaN. np.nan_to_num(image) sets it to 0.")
    if low < 0 or high > 1:
        slightly = low > -0.01 and high < 1.01
        way_out = "np.clip(image, 0, 1) removes rounding errors." if slightly else "If they are 0 to 255, use image / 255."
        raise UnsupportedImageError(f"float images must contain values in [0, 1]; found {low} to {high}. {way_out}")
    return image.astype(np.float32 if image.dtype.itemsize <= 4 else np.float64, copy=False)


def on_white(image: np.ndarray) -> np.ndarray:
    """Blend an image with white according to its last channel (alpha); the data type stays the same."""
    colour, alpha = image[..., :-1], image[..., -1:]
    if image.dtype.kind == "f":
        if (alpha < 1).any():
            colour = np.minimum(colour * alpha.astype(np.float64) + (1.0 - alpha), 1.0).astype(image.dtype)
    elif (alpha < np.iinfo(image.dtype).max).any():
        colour = _mixed_integers(colour, alpha)
    return np.ascontiguousarray(colour[..., 0] if colour.shape[2] == 1 else colour)


def _mixed_integers(colour: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """Blend with white in integers, because floats need eight times the memory of the image."""
    wide: Any = np.uint16 if colour.dtype == np.uint8 else np.uint32
    top = np.iinfo(colour.dtype).max
    mixed: Any = colour.astype(wide)
    mixed *= alpha
    mixed += (top - alpha.astype(wide)) * wide(top)
    mixed += wide(top // 2)
    mixed //= wide(top)
    return mixed.astype(colour.dtype)
