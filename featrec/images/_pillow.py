"""Conversion of an opened Pillow image of any mode to an array."""

from __future__ import annotations

import numpy as np
from PIL import Image

from featrec.exceptions import UnsupportedImageError
from featrec.images._convert import check_float, on_white

__all__ = ["values_of_pillow"]

# Larger images are converted part by part, because Pillow's own export holds an image three times.
PART = 1 << 20


def values_of_pillow(image: Image.Image) -> np.ndarray:
    """Convert a loaded image to uint8, uint16 or float32, gray or RGB, with transparency blended with white; no rotation."""
    mode = image.mode
    if mode.startswith("I;16"):
        return _sixteen_bit_gray(image)
    if mode == "I":
        return _thirty_two_bit(np.asarray(image), image.format)
    if mode == "F":
        return np.array(check_float(np.asarray(image)))
    if mode in ("1", "L", "LA", "La"):
        return _eight_bit(image, "LA" if image.has_transparency_data else "L")
    if mode in ("P", "PA", "RGB", "RGBA", "RGBa", "RGBX", "CMYK", "YCbCr", "HSV"):
        return _eight_bit(image, "RGBA" if image.has_transparency_data else "RGB")
    raise UnsupportedImageError(
        f"Pillow's mode {mode!r} is not supported; convert it with image.convert('RGB') or another program"
    )


def _eight_bit(pillow_image: Image.Image, mode: str) -> np.ndarray:
    width, height = pillow_image.size
    if width * height <= PART:
        return _part(pillow_image, mode)
    rows = max(1, PART // width)
    image = np.empty((height, width) if mode in ("L", "LA") else (height, width, 3), np.uint8)
    for first in range(0, height, rows):
        part = pillow_image.crop((0, first, width, min(first + rows, height)))
        image[first : first + rows] = _part(part, mode)
    return image


def _part(pillow_image: Image.Image, mode: str) -> np.ndarray:
    image = np.array(pillow_image if pillow_image.mode == mode else pillow_image.convert(mode))
    return on_white(image) if mode.endswith("A") else image


def _sixteen_bit_gray(pillow_image: Image.Image) -> np.ndarray:
    image = np.asarray(pillow_image).astype(np.uint16)
    transparent = pillow_image.info.get("transparency")
    if isinstance(transparent, int):
        image[image == transparent] = 65535
    return image


def _thirty_two_bit(values: np.ndarray, file_format: str | None) -> np.ndarray:
    if values.min() < 0 or values.max() > 65535:
        raise UnsupportedImageError(
            f"32-bit {file_format or 'image'} with values from {values.min()} to {values.max()}; "
            "supported are 16 bits (0 to 65535) or floats in [0, 1]. Rescale it first."
        )
    return values.astype(np.uint16)
