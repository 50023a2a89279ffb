"""Inputs of networks: convert images, and collect images in one array."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from featrec.base import check_one_label_each, check_sizes
from featrec.exceptions import InputError
from featrec.images import as_float, as_gray, as_rgb, check_images, stacked

__all__ = ["CONVENTIONS", "NetworkInput", "image_array", "unit_values"]

INTERPOLATIONS = ("area", "bilinear", "bicubic")
# Before Pillow resizes an image, everything further from the central part than this multiple of its size is cut off.
SHOULDER = 4.0
COLOR_ORDERS = {"rgb": 3, "bgr": 3, "gray": 1}

# Names and meanings follow Keras; "caffe" has the rounded means of the published Caffe models.
CONVENTIONS: dict[str, dict[str, Any]] = {
    "torch": {
        "mean": (123.675, 116.28, 103.53),
        "scale": (1 / 58.395, 1 / 57.12, 1 / 57.375),
        "color_order": "rgb",
    },
    "tf": {"mean": 127.5, "scale": 1 / 127.5, "color_order": "rgb"},
    "caffe": {"mean": (104.0, 117.0, 123.0), "scale": 1.0, "color_order": "bgr"},
}


@dataclass(frozen=True)
class NetworkInput:
    """The input of a network: ``(value - mean) * scale``, with values from 0 to 255, and one mean and one scale per channel.

    If `crop` is True, use the largest central part of the image that has the proportions of `size`; if False, stretch the
    image. With a `crop_fraction` below 1, use only this fraction of the sides of that part.

    `interpolation` is "area", which averages areas to reduce an image and interpolates linearly to enlarge it, or "bilinear" or
    "bicubic", which are computed by Pillow as in timm and torchvision.
    """

    size: tuple[int, int]
    mean: tuple[float, ...]
    scale: tuple[float, ...]
    color_order: str
    crop: bool
    crop_fraction: float = 1.0
    interpolation: str = "area"

    @classmethod
    def declared(cls, values: Mapping[str, Any], shape: tuple[int | None, ...], where: str) -> NetworkInput:
        """Create a NetworkInput from a declaration and the input shape of the ONNX file; `where` is used in error messages."""
        unknown = set(values) - set(cls.__dataclass_fields__)
        missing = {"mean", "scale", "color_order"} - set(values)
        if unknown or missing:
            raise InputError(
                f"the preprocessing in {where} needs mean, scale and color_order, and optionally size, crop, crop_fraction and "
                f"interpolation; missing: {sorted(missing)}, unknown: {sorted(unknown)}"
            )
        order = values["color_order"]
        if order not in COLOR_ORDERS:
            raise InputError(f"color_order in {where} must be one of {list(COLOR_ORDERS)}; got {order!r}")
        crop = values.get("crop", True)
        if not isinstance(crop, bool):
            raise InputError(f"crop in {where} must be true or false; got {crop!r}")
        channels = COLOR_ORDERS[order]
        if shape[1] not in (None, channels):
            raise InputError(f"the network expects {shape[1]} channels, but {order!r} in {where} has {channels}")
        mean, scale = (_per_channel(name, values[name], channels, where) for name in ("mean", "scale"))
        fraction, interpolation = values.get("crop_fraction", 1.0), values.get("interpolation", "area")
        if isinstance(fraction, bool) or not isinstance(fraction, (int, float)) or not 0 < fraction <= 1:
            raise InputError(f"crop_fraction in {where} must be a number above 0 and at most 1; got {fraction!r}")
        if interpolation not in INTERPOLATIONS:
            raise InputError(f"interpolation in {where} must be one of {list(INTERPOLATIONS)}; got {interpolation!r}")
        size = _size(values.get("size"), shape[2:], where)
        return cls(size, mean, scale, order, crop, float(fraction), interpolation)

    def window(self, shape: tuple[int, ...]) -> tuple[float, float, float, float]:
        """Return the part of an image that the network sees: top, left, height and width in pixels."""
        if not self.crop:
            return 0.0, 0.0, float(shape[0]), float(shape[1])
        scale = min(shape[0] / self.size[0], shape[1] / self.size[1]) * self.crop_fraction
        height, width = self.size[0] * scale, self.size[1] * scale
        return (shape[0] - height) / 2, (shape[1] - width) / 2, height, width

    def prepare(self, image: np.ndarray) -> np.ndarray:
        """Convert one image to an input of the network, float32 of shape (channels, height, width)."""
        if self.interpolation == "area":
            values = as_float(image).astype(np.float32, copy=False)
            values = self._colors(values)
            part = _inner(values, *self.window(values.shape)) if self.crop else values
            values = _resized(np.ascontiguousarray(part), *self.size)
        else:
            values = self._resampled(self._colors(image))
        values = (values.reshape(*self.size, -1) * 255 - np.array(self.mean, np.float32)) * np.array(self.scale, np.float32)
        return np.ascontiguousarray(values.transpose(2, 0, 1))

    def _colors(self, image: np.ndarray) -> np.ndarray:
        image = as_gray(image)[..., None] if self.color_order == "gray" else as_rgb(image)
        return image[..., ::-1] if self.color_order == "bgr" else image

    def _resampled(self, image: np.ndarray) -> np.ndarray:
        """Resize with Pillow, then crop, as the transforms of timm and torchvision do; return values from 0 to 1."""
        from PIL import Image

        kind = Image.Resampling.BICUBIC if self.interpolation == "bicubic" else Image.Resampling.BILINEAR
        image = image if image.dtype == np.uint8 else as_float(image).astype(np.float32)
        white = 255 if image.dtype == np.uint8 else 1
        height, width = self.size
        if self.crop:
            image = _inner(image, *self.window(image.shape), margin=SHOULDER)
            larger = max(int(side / self.crop_fraction) / length for side, length in zip(self.size, image.shape, strict=False))
            height, width = (
                max(side, int(length * larger + 1e-6)) for side, length in zip(self.size, image.shape, strict=False)
            )
        channels = [
            np.asarray(Image.fromarray(np.ascontiguousarray(image[..., channel])).resize((width, height), kind))
            for channel in range(image.shape[2])
        ]
        resized = np.stack(channels, axis=2).astype(np.float32)
        top, left = (round((length - side) / 2) for length, side in zip((height, width), self.size, strict=True))
        return resized[top : top + self.size[0], left : left + self.size[1]] / np.float32(white)


def _inner(image: np.ndarray, top: float, left: float, height: float, width: float, margin: float = 0.0) -> np.ndarray:
    """Return a central part of an image, with a margin in multiples of the part's size.

    The part is cut out before resizing, because resizing first would enlarge long, narrow images.
    """
    rows, columns = (max(1, round(side * (1 + 2 * margin))) for side in (height, width))
    y, x = max(0, round((image.shape[0] - rows) / 2 - 1e-9)), max(0, round((image.shape[1] - columns) / 2 - 1e-9))
    return image[y : y + rows, x : x + columns]


def _resized(image: np.ndarray, height: int, width: int) -> np.ndarray:
    smaller = height * width < image.shape[0] * image.shape[1]
    return cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA if smaller else cv2.INTER_LINEAR)


def _per_channel(name: str, given: Any, channels: int, where: str) -> tuple[float, ...]:
    try:
        values = np.atleast_1d(np.asarray(given, dtype=float))
    except (TypeError, ValueError):
        values = np.array([np.nan])
    if values.shape not in ((1,), (channels,)) or not np.isfinite(values).all():
        raise InputError(f"{name} in {where} must be a number or {channels} numbers; got {given!r}")
    return tuple(np.broadcast_to(values, channels).tolist())


def _size(given: Any, fixed: tuple[int | None, ...], where: str) -> tuple[int, int]:
    """Return the declared size, or else the size in the ONNX file. If both exist, they must be equal."""
    if given is None and None in fixed:
        raise InputError(f"the network accepts any size, but {where} contains no size; set size=(height, width)")
    size = check_sizes("size", fixed if given is None else given, 2)  # type: ignore[arg-type]
    if any(free not in (None, side) for free, side in zip(fixed, size, strict=True)):
        raise InputError(f"size in {where} is {size}, but the network expects {fixed}")
    return size[0], size[1]


def image_array(X: Any, y: Any = None, *, stage: str, n_jobs: int | None = None) -> np.ndarray:
    """Collect images of equal size in one array (n, height, width, channels) of uint8, or of float32 in [0, 1].

    Lazy images are computed once. The number of labels is checked before any image is read.
    """
    images = check_images(X)
    check_one_label_each(y, len(images))
    array = stacked(images) if len(images) else None
    if array is None:
        return _joined(images.held(n_jobs), stage)
    return _bytes_or_unit(array if array.ndim == 4 else array[..., None])


def unit_values(images: np.ndarray) -> np.ndarray:
    """Convert to float32 in [0, 1]."""
    white = 1 if images.dtype.kind == "f" else np.iinfo(images.dtype).max
    return images.astype(np.float32) / np.float32(white) if white != 1 else images.astype(np.float32, copy=False)


def _bytes_or_unit(images: np.ndarray) -> np.ndarray:
    return images if images.dtype == np.uint8 else unit_values(images)


def _joined(images: list[np.ndarray], stage: str) -> np.ndarray:
    sizes = sorted({image.shape[:2] for image in images}) or [(0, 0)]
    if len(sizes) > 1:
        raise InputError(
            f"{stage} expects images of equal size; these have {len(sizes)} sizes, such as {sizes[0]} and {sizes[1]}. "
            "Put Resize((height, width)) before it."
        )
    channels = max((1 if image.ndim == 2 else image.shape[2] for image in images), default=1)
    all_bytes = all(image.dtype == np.uint8 for image in images)
    joined = np.empty((len(images), *sizes[0], channels), np.uint8 if all_bytes else np.float32)
    for row, image in zip(joined, images, strict=True):
        row[:] = (image if all_bytes else unit_values(image)).reshape(*sizes[0], -1)
    return joined
