"""Read and change the graph in an ONNX file, without the onnx package: shapes, layers, weights, and outputs.

An ONNX file is a protobuf message. Only the few fields that are needed here are decoded; all other bytes are copied.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeAlias

from featrec.exceptions import InputError

__all__ = ["Node", "OnnxGraph", "read_graph", "with_outputs", "without_fused_gates"]

# Field numbers in onnx.proto; see https://protobuf.dev/programming-guides/encoding.
MODEL_GRAPH = 7
GRAPH_NODE, GRAPH_INITIALIZER, GRAPH_INPUT, GRAPH_OUTPUT, GRAPH_SPARSE = 1, 5, 11, 12, 15
NODE_INPUT, NODE_OUTPUT, NODE_KIND, NODE_ATTRIBUTE = 1, 2, 4, 5
ATTRIBUTE_TENSORS, ATTRIBUTE_GRAPHS = (5, 10), (6, 11)
TENSOR_SIDES, TENSOR_NAME, TENSOR_EXTERNAL, TENSOR_LOCATION = 1, 8, 13, 14
VALUE_NAME, VALUE_TYPE = 1, 2
TYPE_TENSOR = 1
TENSOR_SHAPE = 2
SHAPE_DIMENSION = 1
DIMENSION_VALUE = 1

VARINT, EIGHT_BYTES, LENGTH, FOUR_BYTES = 0, 1, 2, 5
# Operations that do not change the shape of the weights.
SAME_SHAPE = {"DequantizeLinear", "Identity", "Cast", "QuantizeLinear"}
# The content of a file: bytes, a memoryview, or an array of uint8.
Bytes: TypeAlias = Any
# A function that takes the number, all bytes and the value of a field, and returns the new bytes of the field.
Change: TypeAlias = Callable[[int, memoryview, memoryview | int], bytes | memoryview]
# Maximum number of graphs inside graphs, such as the branches of an If.
DEEPEST = 8


class Node(NamedTuple):
    """An operation of the graph: its kind, such as "Conv", and the names of its inputs and outputs."""

    kind: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]


@dataclass(frozen=True)
class OnnxGraph:
    """The input, outputs, operations and weights of an ONNX file.

    `shape` is the shape of the only input (None for axes of any length), and `outputs` are the names of the declared outputs in
    the order of the file. `weights` contains the shape of each weight, keyed by name.
    """

    shape: tuple[int | None, ...]
    outputs: tuple[str, ...]
    nodes: tuple[Node, ...] = ()
    weights: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    input: str = ""

    @property
    def operations(self) -> tuple[Node, ...]:
        """The nodes whose values depend on the image, in the order of the file."""
        reached, found = {self.input}, []
        for node in self.nodes:
            if reached.intersection(node.inputs):
                reached.update(node.outputs)
                found.append(node)
        return tuple(found)

    @property
    def layers(self) -> tuple[str, ...]:
        """Names of all tensors that depend on the image, in the order of the file."""
        return tuple(name for node in self.operations for name in node.outputs if name)

    def operations_for(self, layer: str) -> tuple[Node, ...]:
        """Return the operations that `layer` needs, in the order of the file."""
        needed, found = {layer}, []
        for node in reversed(self.operations):
            if needed.intersection(node.outputs):
                needed.update(node.inputs)
                found.append(node)
        return tuple(reversed(found))

    def weight_shapes(self) -> dict[str, tuple[int, ...]]:
        """Return the shapes of the weights, and of tensors that are made from one weight, such as dequantised weights."""
        shapes = dict(self.weights)
        for node in self.nodes:
            if node.inputs and node.inputs[0] in shapes and node.kind in SAME_SHAPE:
                shapes |= dict.fromkeys(node.outputs, shapes[node.inputs[0]])
        return shapes


def read_graph(data: Bytes, name: str) -> OnnxGraph:
    """Read the graph of an ONNX file; `name` is used in error messages."""
    try:
        graph = _only(memoryview(data), MODEL_GRAPH)
        weights = {_text(_only(tensor, TENSOR_NAME)): _sides(tensor) for tensor in _all(graph, GRAPH_INITIALIZER)}
        inputs = [value for value in _all(graph, GRAPH_INPUT) if _text(_only(value, VALUE_NAME)) not in weights]
        outputs = tuple(_text(_only(value, VALUE_NAME)) for value in _all(graph, GRAPH_OUTPUT))
        shapes = [_shape(value) for value in inputs]
        name_of_input = _text(_only(inputs[0], VALUE_NAME)) if inputs else ""
        nodes = tuple(_node(message) for message in _all(graph, GRAPH_NODE))
        external = any(_is_external(tensor) for tensor in _tensors(graph))
    except ValueError as error:
        raise InputError(f"{name} is not an ONNX file, or is damaged ({error}); export the network to ONNX") from None
    if external:
        raise InputError(f"{name} stores weights in other files, which is not supported; export it with external_data=False")
    if len(shapes) != 1 or len(shapes[0]) != 4 or not outputs:
        raise InputError(
            f"{name} is not a network for images: it must have one input of shape (n, channels, height, width), but it has "
            f"inputs of shapes {shapes} and {len(outputs)} outputs"
        )
    return OnnxGraph(shapes[0], outputs, nodes, weights, name_of_input)


def with_outputs(data: Bytes, names: tuple[str, ...]) -> bytes:
    """Return the file with these tensors as its only outputs; a tensor inside the graph becomes an output without a type."""
    declared = {}

    def kept(number: int, whole: memoryview, content: memoryview | int) -> bytes | memoryview:
        if number != GRAPH_OUTPUT or isinstance(content, int):
            return whole
        declared[_text(_only(content, VALUE_NAME))] = whole
        return b""

    graph = _changed(_only(memoryview(data), MODEL_GRAPH), kept)
    graph += b"".join(declared.get(name) or _message(GRAPH_OUTPUT, _message(VALUE_NAME, name.encode())) for name in names)
    return _with_graph(data, graph)


def without_fused_gates(data: Bytes) -> Bytes:
    """Return the file with a Relu after each HardSigmoid; the results of the network stay the same.

    OpenCV 5 replaces ``Mul(x, HardSigmoid(s))`` by HardSwish(s) even if x is not s, as in squeeze-and-excitation blocks, and
    the network returns wrong values without an error. The Relu changes no value, because HardSigmoid is never negative, but
    OpenCV no longer recognises the pattern.
    """
    graph = _only(memoryview(data), MODEL_GRAPH)
    nodes = [_node(message) for message in _all(graph, GRAPH_NODE)]
    gates = {node.outputs[0]: node.inputs[0] for node in nodes if node.kind == "HardSigmoid" and node.inputs and node.outputs}
    if not any(_is_gate(node, gates) for node in nodes):
        return data

    def replaced(number: int, whole: memoryview, content: memoryview | int) -> bytes | memoryview:
        if number != GRAPH_NODE or isinstance(content, int) or _node(content).kind != "HardSigmoid":
            return whole
        output = _node(content).outputs[0].encode()
        before = output + b" before Relu"
        renamed = _changed(content, lambda at, part, _: _message(NODE_OUTPUT, before) if at == NODE_OUTPUT else part)
        relu = _message(NODE_INPUT, before) + _message(NODE_OUTPUT, output) + _message(NODE_KIND, b"Relu")
        return _message(GRAPH_NODE, renamed) + _message(GRAPH_NODE, relu)

    return _with_graph(data, _changed(graph, replaced))


def _is_gate(node: Node, gates: Mapping[str, str]) -> bool:
    """Whether a node multiplies a HardSigmoid by something other than the input of that HardSigmoid."""
    pairs = zip(node.inputs, reversed(node.inputs), strict=True)
    return node.kind == "Mul" and any(name in gates and gates[name] != other for name, other in pairs)


def _node(message: memoryview) -> Node:
    kind = _all(message, NODE_KIND)
    inputs, outputs = (tuple(map(_text, _all(message, number))) for number in (NODE_INPUT, NODE_OUTPUT))
    return Node(_text(kind[-1]) if kind else "", inputs, outputs)


def _tensors(graph: memoryview, depth: int = 0) -> Iterator[memoryview]:
    """Yield all stored tensors: weights, constants, and those of inner graphs."""
    if depth > DEEPEST:
        raise ValueError(f"graphs are nested more than {DEEPEST} levels deep")
    yield from _all(graph, GRAPH_INITIALIZER)
    for sparse in _all(graph, GRAPH_SPARSE):
        yield from (part for _, part in _fields(sparse) if isinstance(part, memoryview))
    for node in _all(graph, GRAPH_NODE):
        for attribute in _all(node, NODE_ATTRIBUTE):
            for number in ATTRIBUTE_TENSORS:
                yield from _all(attribute, number)
            for number in ATTRIBUTE_GRAPHS:
                for inner in _all(attribute, number):
                    yield from _tensors(inner, depth + 1)


def _is_external(tensor: memoryview) -> bool:
    return any(number == TENSOR_EXTERNAL or (number == TENSOR_LOCATION and value == 1) for number, value in _fields(tensor))


def _sides(tensor: memoryview) -> tuple[int, ...]:
    """Return the shape of a stored tensor; protobuf packs the sides into one field or writes one field per side."""
    sides: list[int] = []
    for number, value in _fields(tensor):
        if number == TENSOR_SIDES and isinstance(value, int):
            sides.append(value)
        elif number == TENSOR_SIDES and isinstance(value, memoryview):
            at = 0
            while at < len(value):
                side, at = _varint(value, at)
                sides.append(side)
    return tuple(sides)


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
    return ((number, value) for number, _, value in _parts(message))


def _parts(message: memoryview) -> Iterator[tuple[int, memoryview, int | memoryview]]:
    """Yield the number, all bytes, and the value of each field."""
    at = 0
    while at < len(message):
        start = at
        key, at = _varint(message, at)
        number, kind = key >> 3, key & 7
        if kind == VARINT:
            value, at = _varint(message, at)
            yield number, message[start:at], value
            continue
        if kind == LENGTH:
            size, at = _varint(message, at)
        elif kind in (EIGHT_BYTES, FOUR_BYTES):
            size = 8 if kind == EIGHT_BYTES else 4
        else:
            raise ValueError(f"a field has the unknown type {kind}")
        if at + size > len(message):
            raise ValueError("it is truncated")
        yield number, message[start : at + size], message[at : at + size]
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


def _message(number: int, content: bytes | memoryview) -> bytes:
    """Return a field that contains bytes."""
    head, size = bytearray(), len(content)
    for value in (number << 3 | LENGTH, size):
        while value > 127:
            head.append(value & 127 | 128)
            value >>= 7
        head.append(value)
    return bytes(head) + content


def _changed(message: memoryview, change: Change) -> bytes:
    """Return the message with each field replaced by the bytes that `change` returns."""
    return b"".join(change(number, whole, value) for number, whole, value in _parts(message))


def _with_graph(data: Bytes, graph: bytes) -> bytes:
    def change(number: int, whole: memoryview, _: memoryview | int) -> bytes | memoryview:
        return b"" if number == MODEL_GRAPH else whole

    return _changed(memoryview(data), change) + _message(MODEL_GRAPH, graph)
