"""The pixels of a picture that Pillow has opened, whatever its mode."""

from __future__ import annotations

import numpy as np
from PIL import Image

from featrec.exceptions import UnsupportedImageError
from featrec.images._convert import check_float, on_white

__all__ = ["values_of_pillow"]

# Above this many pixels an array is filled part by part: Pillow's own export holds the picture three times at once.
PART = 1 << 20


def values_of_pillow(picture: Image.Image) -> np.ndarray:
    """A loaded picture as uint8, uint16 or float32, gray or RGB, transparency laid on white; not turned."""
    mode = picture.mode
    if mode.startswith("I;16"):
        return _sixteen_bit_gray(picture)
    if mode == "I":
        return _thirty_two_bit(np.asarray(picture), picture.format)
    if mode == "F":
        return np.array(check_float(np.asarray(picture)))
    if mode in ("1", "L", "LA", "La"):
        return _eight_bit(picture, "LA" if picture.has_transparency_data else "L")
    if mode in ("P", "PA", "RGB", "RGBA", "RGBa", "RGBX", "CMYK", "YCbCr", "HSV"):
        return _eight_bit(picture, "RGBA" if picture.has_transparency_data else "RGB")
    raise UnsupportedImageError(f"Pillow's mode {mode!r} is not taken; picture.convert('RGB') or another export makes it RGB")


def _eight_bit(picture: Image.Image, mode: str) -> np.ndarray:
    width, height = picture.size
    if width * height <= PART:
        return _part(picture, mode)
    rows = max(1, PART // width)
    image = np.empty((height, width) if mode in ("L", "LA") else (height, width, 3), np.uint8)
    for first in range(0, height, rows):
        part = picture.crop((0, first, width, min(first + rows, height)))
        image[first : first + rows] = _part(part, mode)
    return image


def _part(picture: Image.Image, mode: str) -> np.ndarray:
    image = np.array(picture if picture.mode == mode else picture.convert(mode))
    return on_white(image) if mode.endswith("A") else image


def _sixteen_bit_gray(picture: Image.Image) -> np.ndarray:
    image = np.asarray(picture).astype(np.uint16)
    transparent = picture.info.get("transparency")
    if isinstance(transparent, int):
        image[image == transparent] = 65535
    return image


def _thirty_two_bit(values: np.ndarray, file_format: str | None) -> np.ndarray:
    if values.min() < 0 or values.max() > 65535:
        raise UnsupportedImageError(
            f"32-bit {file_format or 'picture'} with values from {values.min()} to {values.max()}; "
            "16 bits (0 to 65535) or floats in [0, 1] are taken. Scale it first."
        )
    return values.astype(np.uint16)
