"""Reads the inputs and outputs of an ONNX file without the onnx package.

Only the required fields are decoded; see https://protobuf.dev/programming-guides/encoding and onnx.proto.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from featrec.exceptions import InputError

__all__ = ["OnnxGraph", "read_graph"]

# Field numbers in onnx.proto.
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
    """Shape of the only input (None for free axes), and names of the outputs in the order of the file."""

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
            f"{name} is not a network for images: expected one input of shape (n, channels, height, width), but it declares "
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
    """Number and value of each field: an int, or the bytes of a string, a number or a nested message."""
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
            raise ValueError(f"a field of type {kind}")
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
    raise ValueError("an unterminated number")
