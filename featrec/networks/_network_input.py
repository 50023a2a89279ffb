"""Inputs of networks: read their shape from an ONNX file, convert images, and collect images in one array."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from featrec.base import check_one_label_each, check_sizes
from featrec.exceptions import InputError
from featrec.images import as_float, as_gray, as_rgb, check_images, stacked

__all__ = ["CONVENTIONS", "NetworkInput", "OnnxGraph", "image_array", "read_graph", "unit_values"]

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

# Field numbers in onnx.proto; see https://protobuf.dev/programming-guides/encoding.
MODEL_GRAPH = 7
GRAPH_INITIALIZER, GRAPH_INPUT, GRAPH_OUTPUT = 5, 11, 12
TENSOR_NAME = 8
VALUE_NAME, VALUE_TYPE = 1, 2
TYPE_TENSOR = 1
TENSOR_SHAPE = 2
SHAPE_DIMENSION = 1
DIMENSION_VALUE = 1

VARINT, EIGHT_BYTES, LENGTH, FOUR_BYTES = 0, 1, 2, 5


@dataclass(frozen=True)
class OnnxGraph:
    """Shape of the only input (None for axes of any length), and names of the outputs in the order of the file."""

    shape: tuple[int | None, ...]
    outputs: tuple[str, ...]


def read_graph(data: bytes, name: str) -> OnnxGraph:
    """Read the declared input and outputs of an ONNX file; `name` is used in error messages."""
    try:
        graph = _only(memoryview(data), MODEL_GRAPH)
        weights = {_text(_only(tensor, TENSOR_NAME)) for tensor in _all(graph, GRAPH_INITIALIZER)}
        inputs = [value for value in _all(graph, GRAPH_INPUT) if _text(_only(value, VALUE_NAME)) not in weights]
        outputs = tuple(_text(_only(value, VALUE_NAME)) for value in _all(graph, GRAPH_OUTPUT))
        shapes = [_shape(value) for value in inputs]
    except ValueError as error:
        raise InputError(f"{name} is not an ONNX file, or is damaged ({error}); export the network to ONNX") from None
    if len(shapes) != 1 or len(shapes[0]) != 4 or not outputs:
        raise InputError(
            f"{name} is not a network for images: it must have one input of shape (n, channels, height, width), but it has "
            f"inputs of shapes {shapes} and {len(outputs)} outputs"
        )
    return OnnxGraph(shapes[0], outputs)


def _shape(value: memoryview) -> tuple[int | None, ...]:
    tensor = _only(_only(value, VALUE_TYPE), TYPE_TENSOR)
    dimensions = _all(_only(tensor, TENSOR_SHAPE), SHAPE_DIMENSION)
    return tuple(_dimension(dimension) for dimension in dimensions)


def _dimension(dimension: memoryview) -> int | None:
    values = [value for number, value in _fields(dimension) if number == DIMENSION_VALUE and isinstance(value, int)]
    return values[0] if values and 0 < values[0] < 2**31 else None


def _text(data: memoryview) -> str:
    return str(data, "utf-8")


def _only(message: memoryview, wanted: int) -> memoryview:
    found = _all(message, wanted)
    if not found:
        raise ValueError(f"field {wanted} is missing")
    return found[-1]


def _all(message: memoryview, wanted: int) -> list[memoryview]:
    return [value for number, value in _fields(message) if number == wanted and isinstance(value, memoryview)]


def _fields(message: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    """Yield the number and the value of each field: an int, or the bytes of a string, a number or a nested message."""
    at = 0
    while at < len(message):
        key, at = _varint(message, at)
        number, kind = key >> 3, key & 7
        if kind == VARINT:
            value, at = _varint(message, at)
            yield number, value
            continue
        if kind == LENGTH:
            size, at = _varint(message, at)
        elif kind in (EIGHT_BYTES, FOUR_BYTES):
            size = 8 if kind == EIGHT_BYTES else 4
        else:
            raise ValueError(f"a field has the unknown type {kind}")
        if at + size > len(message):
            raise ValueError("it is truncated")
        yield number, message[at : at + size]
        at += size


def _varint(message: memoryview, at: int) -> tuple[int, int]:
    value = shift = 0
    while at < len(message) and shift < 70:
        byte = message[at]
        value |= (byte & 127) << shift
        shift += 7
        at += 1
        if byte < 128:
            return value, at
    raise ValueError("a number does not end")


@dataclass(frozen=True)
class NetworkInput:
    """The input of a network: ``(value - mean) * scale``, with values from 0 to 255, and one mean and one scale per channel.

    If `crop` is True, use the largest central part of the image that has the proportions of `size`; if False, stretch the
    image.
    """

    size: tuple[int, int]
    mean: tuple[float, ...]
    scale: tuple[float, ...]
    color_order: str
    crop: bool

    @classmethod
    def declared(cls, values: Mapping[str, Any], shape: tuple[int | None, ...], where: str) -> NetworkInput:
        """Create a NetworkInput from a declaration and the input shape of the ONNX file; `where` is used in error messages."""
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

    def prepare(self, image: np.ndarray) -> np.ndarray:
        """Convert one image to an input of the network, float32 of shape (channels, height, width)."""
        values = as_float(image).astype(np.float32, copy=False)
        values = as_gray(values)[..., None] if self.color_order == "gray" else as_rgb(values)
        if self.color_order == "bgr":
            values = values[..., ::-1]
        values = (_cropped if self.crop else _resized)(np.ascontiguousarray(values), *self.size)
        values = (values.reshape(*self.size, -1) * 255 - np.array(self.mean, np.float32)) * np.array(self.scale, np.float32)
        return np.ascontiguousarray(values.transpose(2, 0, 1))


def _cropped(image: np.ndarray, height: int, width: int) -> np.ndarray:
    """Resize the largest central part with the right proportions. Cropping after resizing would enlarge long, narrow images."""
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
    """Return the declared size, or else the size in the ONNX file. If there are both, they must be equal."""
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
