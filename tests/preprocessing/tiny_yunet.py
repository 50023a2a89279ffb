"""A network with the inputs and outputs of YuNet, written without the onnx package. Its faces are bright squares."""

import numpy as np

from tests.tiny_network import field, integers, node, number, tensor, value

SIDE = 40  # of each face that it reports, in pixels
PARTS = {"cls": 1, "obj": 1, "bbox": 4, "kps": 10}


def yunet_bytes(height=64, width=64):
    """Return the file. The score of a cell is a steep function of its mean brightness."""
    nodes, tensors, outputs = [], [], []
    for stride in (8, 16, 32):
        for part, n in PARTS.items():
            name = f"{part}_{stride}"
            weights = np.zeros((n, 3, stride, stride), np.float32)
            bias = np.zeros(n, np.float32)
            if part in ("cls", "obj") and stride == 8:
                weights[:], bias[:] = 1 / (3 * stride * stride * 255) * 10, -8.5  # above 0.9 of white
            elif part == "bbox":
                bias[:] = 0.5, 0.5, np.log(SIDE / stride), np.log(SIDE / stride)
            conv = [integers("kernel_shape", [stride, stride]), integers("strides", [stride, stride])]
            nodes += [
                node("Conv", ["input", f"w_{name}", f"b_{name}"], f"c_{name}", *conv),
                node("Transpose", [f"c_{name}"], f"t_{name}", integers("perm", [0, 2, 3, 1])),
                node("Reshape", [f"t_{name}", f"s_{part}"], name),
            ]
            tensors += [tensor(f"w_{name}", weights), tensor(f"b_{name}", bias)]
            outputs.append(field(12, value(name, [1, None, n])))
    tensors += [_shape(f"s_{part}", n) for part, n in PARTS.items()]
    parts = [*(field(1, each) for each in nodes), field(2, b"faces"), *(field(5, each) for each in tensors)]
    graph = b"".join([*parts, field(11, value("input", [1, 3, height, width])), *outputs])
    return number(1, 8) + field(7, graph) + field(8, field(1, b"") + number(2, 13))


def _shape(name, n):
    values = np.array([1, -1, n], np.int64)
    return number(1, 3) + number(2, 7) + field(8, name.encode()) + field(9, values.tobytes())
