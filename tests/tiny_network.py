"""A tiny network in an ONNX file, written without the onnx package, and the same network in NumPy; and easy images.

Convolution (8 filters, 3×3) → ReLU ("map") → global average → flatten → matrix product ("logits", 3); the average is
"feat" (8), the last output. The weights are always the same.
"""

import json
from pathlib import Path

import numpy as np

RANDOM = np.random.default_rng(7)
FILTERS = RANDOM.normal(size=(8, 3, 3, 3)).astype(np.float32)
BIAS = RANDOM.normal(size=8).astype(np.float32)
MATRIX = RANDOM.normal(size=(8, 3)).astype(np.float32)

DECLARED = {"mean": 127.5, "scale": 1 / 127.5, "color_order": "rgb"}


def write_tiny_network(path, *, batch=None, size=(32, 32), declared=DECLARED, opset=13):
    """Write the ONNX file and, beside it, the JSON file that declares its preprocessing; None writes no JSON.

    `batch` and `size` are fixed in the file, or left free where they are None.
    """
    path = Path(path)
    path.write_bytes(network_bytes(batch=batch, size=size, opset=opset))
    if declared is not None:
        path.with_suffix(".json").write_text(json.dumps(declared), encoding="utf-8")
    return path


def network_bytes(*, batch=None, size=(32, 32), opset=13):
    height, width = size or (None, None)
    nodes = [
        node("Conv", ["data", "filters", "bias"], "conv", integers("pads", [1, 1, 1, 1]), integers("kernel_shape", [3, 3])),
        node("Relu", ["conv"], "map"),
        node("GlobalAveragePool", ["map"], "average"),
        node("Flatten", ["average"], "feat"),
        node("MatMul", ["feat", "matrix"], "logits"),
    ]
    graph = b"".join(
        [
            *(field(1, each) for each in nodes),
            field(2, b"tiny"),
            *(field(5, tensor(name, values)) for name, values in WEIGHTS.items()),
            field(11, value("data", [batch, 3, height, width])),
            field(12, value("map", [batch, 8, height, width])),
            field(12, value("logits", [batch, 3])),
            field(12, value("feat", [batch, 8])),
        ]
    )
    return number(1, 8) + field(7, graph) + field(8, field(1, b"") + number(2, opset))


def run_tiny_network(values):
    """The outputs by name, for (n, 3, h, w)."""
    padded = np.pad(values, ((0, 0), (0, 0), (1, 1), (1, 1)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(2, 3))
    rectified = np.maximum(np.einsum("nchwij,fcij->nfhw", windows, FILTERS) + BIAS[:, None, None], 0)
    average = rectified.mean(axis=(2, 3))
    return {"map": rectified, "logits": average @ MATRIX, "feat": average}


WEIGHTS = {"filters": FILTERS, "bias": BIAS, "matrix": MATRIX}


def varint(value):
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes([*out, value])


def number(at, value):
    return varint(at << 3) + varint(value)


def field(at, data):
    return varint(at << 3 | 2) + varint(len(data)) + data


def node(kind, inputs, output, *attributes):
    names = b"".join(field(1, name.encode()) for name in inputs)
    return names + field(2, output.encode()) + field(4, kind.encode()) + b"".join(field(5, each) for each in attributes)


def integers(name, values):
    return field(1, name.encode()) + b"".join(number(8, each) for each in values) + number(20, 7)


def tensor(name, values):
    return (
        b"".join(number(1, side) for side in values.shape) + number(2, 1) + field(8, name.encode()) + field(9, values.tobytes())
    )


def value(name, shape):
    sides = b"".join(field(1, field(2, b"n") if side is None else number(1, side)) for side in shape)
    return field(1, name.encode()) + field(2, field(1, number(1, 1) + field(2, sides)))


def noise(n=60, size=16, channels=None, seed=0):
    """Return noise that is darker on the left in one class and at the top in the other."""
    random = np.random.default_rng(seed)
    X = random.integers(120, 256, (n, size, size, 3)[: 3 + (channels is not None)], dtype=np.uint8)
    y = np.resize(["left", "top"], n)
    X[y == "left", :, : size // 2] //= 3
    X[y == "top", : size // 2] //= 3
    return X, y
