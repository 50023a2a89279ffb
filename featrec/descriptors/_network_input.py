"""NetworkInput: conversion of images to the input of a network."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import cv2
import numpy as np

from featrec.descriptors._sizes import check_sizes
from featrec.exceptions import InputError
from featrec.images import as_float, as_gray, as_rgb

__all__ = ["CONVENTIONS", "NetworkInput"]

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
    """The input of a network: ``(value - mean) * scale`` with values from 0 to 255.

    Parameters
    ----------
    size : tuple of (height, width)
    mean, scale : tuple of floats
        One number per channel, in the network's order.
    color_order : {"rgb", "bgr", "gray"}
    crop : bool
        True: use the largest central part with the proportions of `size`. False: stretch the image.
    """

    size: tuple[int, int]
    mean: tuple[float, ...]
    scale: tuple[float, ...]
    color_order: str
    crop: bool

    @classmethod
    def declared(cls, values: Mapping[str, Any], shape: tuple[int | None, ...], where: str) -> NetworkInput:
        """Create it from a declaration and the input shape of the ONNX file; `where` is used in error messages."""
        unknown = set(values) - set(cls.__dataclass_fields__)
        missing = {"mean", "scale", "color_order"} - set(values)
        if unknown or missing:
            raise InputError(
                f"the preprocessing in {where} needs mean, scale and color_order, and optionally size and crop; "
                f"missing: {sorted(missing)}, unknown: {sorted(unknown)}"
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
        return cls(_size(values.get("size"), shape[2:], where), mean, scale, order, crop)

    def to_dict(self) -> dict[str, Any]:
        """Convert to plain values."""
        return asdict(self)

    def prepare(self, image: np.ndarray) -> np.ndarray:
        """Convert one image to the network's input, float32 of shape (channels, height, width)."""
        values = as_float(image).astype(np.float32, copy=False)
        values = as_gray(values)[..., None] if self.color_order == "gray" else as_rgb(values)
        if self.color_order == "bgr":
            values = values[..., ::-1]
        values = (_cropped if self.crop else _resized)(np.ascontiguousarray(values), *self.size)
        values = (values.reshape(*self.size, -1) * 255 - np.array(self.mean, np.float32)) * np.array(self.scale, np.float32)
        return np.ascontiguousarray(values.transpose(2, 0, 1))


def _cropped(image: np.ndarray, height: int, width: int) -> np.ndarray:
    """The largest central part with the right proportions, resized. Cropping first avoids enlarging a long strip."""
    scale = min(image.shape[0] / height, image.shape[1] / width)
    rows, columns = max(1, round(height * scale)), max(1, round(width * scale))
    top, left = (image.shape[0] - rows) // 2, (image.shape[1] - columns) // 2
    return _resized(np.ascontiguousarray(image[top : top + rows, left : left + columns]), height, width)


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
    """The declared size, or the size in the ONNX file; they must agree."""
    if given is None and None in fixed:
        raise InputError(f"the network accepts any size, and {where} declares none; set size=(height, width)")
    size = check_sizes("size", fixed if given is None else given, 2)  # type: ignore[arg-type]
    if any(free not in (None, side) for free, side in zip(fixed, size, strict=True)):
        raise InputError(f"size in {where} is {size}, but the network expects {fixed}")
    return size[0], size[1]
