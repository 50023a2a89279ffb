"""Convert images between gray and RGB and between data types, and make thumbnails.

A decoded image is a contiguous array of shape (h, w) or (h, w, 3), of type uint8, uint16, or float32 or float64 in [0, 1].
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import cv2
import numpy as np

from featrec.exceptions import EmptyImageError, ImageError, UnsupportedImageError
from featrec.lazy import Images
from featrec.parallel import map_batches

__all__ = [
    "as_float",
    "as_gray",
    "as_rgb",
    "as_uint8",
    "brightness",
    "check_dtype",
    "check_float",
    "has_colour",
    "image_from_array",
    "nearest",
    "on_white",
    "similarities",
    "thumbnails",
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


def brightness(image: np.ndarray) -> float:
    """Return the mean of all values of a decoded image, in [0, 1]. It takes 0.04 ms for 640 x 480 pixels in colour."""
    n_channels = 1 if image.ndim == 2 else image.shape[2]
    white = 1.0 if image.dtype.kind == "f" else float(np.iinfo(image.dtype).max)
    return min(sum(cv2.mean(image)[:n_channels]) / n_channels / white, 1.0)


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


# Maximum number of images to compare, evenly spaced within each class.
MOST = 4000
Change = Callable[[np.ndarray], np.ndarray]


def thumbnails(
    images: Images, labels: Any, side: int, changes: tuple[Change, ...], n_jobs: int | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Return gray thumbnails of up to 4,000 readable images, and their labels.

    Each function in `changes` is applied to each image before the image is reduced. The thumbnails have the shape (n_changes,
    n, side, side), zero mean and unit length.
    """
    rows = _spread(np.asarray(labels))

    def batch(some: Images) -> Iterable[np.ndarray | None]:
        return [_of_image(some, place, side, changes) for place in range(len(some))]

    found = [one for part in map_batches(batch, images[rows], n_jobs=n_jobs, shared_memory=True) for one in part]
    kept = [one for one in found if one is not None]
    pixels = np.stack(kept, axis=1) if kept else np.empty((len(changes), 0, side, side), np.float32)
    return pixels, np.asarray(labels)[rows][[one is not None for one in found]]


def nearest(values: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return, for each row of a similarity matrix, whether the most similar thumbnail has the same label."""
    return labels[values.argmax(axis=1)] == labels


def similarities(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Compute the similarities of all pairs of rows. The diagonal (each image with itself) is set to -2."""
    values: np.ndarray = left.reshape(len(left), -1) @ right.reshape(len(right), -1).T
    np.fill_diagonal(values, -2)
    return values


def _spread(labels: np.ndarray) -> np.ndarray:
    """Return at most MOST rows in order, evenly spaced within each class."""
    by_class = np.argsort(labels, kind="stable")
    some = by_class if len(labels) <= MOST else by_class[np.linspace(0, len(labels) - 1, MOST).round().astype(int)]
    return np.sort(some)


def _of_image(images: Images, position: int, side: int, changes: tuple[Change, ...]) -> np.ndarray | None:
    try:
        image = images[position]
    except ImageError:
        return None
    return np.stack([_small(change(image), side) for change in changes])


def _small(image: np.ndarray, side: int) -> np.ndarray:
    small: np.ndarray = cv2.resize(as_float(as_gray(image)), (side, side), interpolation=cv2.INTER_AREA)
    small = small - small.mean()
    length = float(np.linalg.norm(small))
    return small / length if length > 0 else small
