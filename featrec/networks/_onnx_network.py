"""Run an ONNX file with onnxruntime or OpenCV; average a map inside the network."""

from __future__ import annotations

import importlib.util
import math
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import cache
from typing import Any, NamedTuple, Self

import cv2
import numpy as np

from featrec.exceptions import InputError, MissingExtraError
from featrec.images import Contributions, frames_of, rectangles
from featrec.networks._onnx_graph import OnnxGraph, read_graph, with_outputs, without_fused_gates

__all__ = [
    "RUNTIMES",
    "AveragedMap",
    "RecentNetworks",
    "RecentOfThread",
    "check_runtimes_agree",
    "is_installed",
    "layer_shapes",
    "run_onnx",
    "runtime_of",
    "token_grid",
]


RUNTIMES = ("onnxruntime", "opencv")
# Maximum number of networks that are kept in memory: per process for onnxruntime, per thread for OpenCV.
MOST_KEPT = 2
# Maximum difference between runtimes, relative to the largest value of the layer.
TOLERANCE = 1e-3


def is_installed(module: str) -> bool:
    """Whether a module can be imported; it is not imported."""
    return importlib.util.find_spec(module) is not None


def runtime_of(wanted: str) -> str:
    """Return the runtime for ONNX files: "auto" prefers onnxruntime if it is installed."""
    if wanted == "auto":
        return "onnxruntime" if is_installed("onnxruntime") else "opencv"
    if wanted == "onnxruntime" and not is_installed("onnxruntime"):
        raise MissingExtraError('runtime="onnxruntime" needs onnxruntime; pip install "featrec[onnx]" installs it')
    return wanted


def run_onnx(
    runtime: str,
    data: np.ndarray,
    digest: str,
    layer: str,
    values: np.ndarray,
    device: str = "auto",
    n_threads: int | None = None,
) -> np.ndarray:
    """Run the network in `data` (the bytes of an ONNX file) up to `layer` on a batch (n, channels, height, width).

    `digest` identifies `data` and everything else that the network depends on. By default, onnxruntime uses as many threads as
    OpenCV (one thread inside a worker; see featrec.parallel).
    """
    if runtime == "opencv":
        return _run_opencv(data, digest, layer, values)
    return _run_onnxruntime(data, digest, layer, values, device, n_threads or cv2.getNumThreads())


def check_runtimes_agree(data: np.ndarray, digest: str, layer: str, values: np.ndarray) -> None:
    """If onnxruntime is installed, check that OpenCV returns the same values; OpenCV is silently wrong for some networks."""
    if not is_installed("onnxruntime"):
        return
    ours, expected = (run_onnx(runtime, data, digest, layer, values) for runtime in ("opencv", "onnxruntime"))
    largest = float(np.abs(expected).max(initial=0.0))
    difference = float(np.abs(ours - expected).max(initial=0.0)) if ours.shape == expected.shape else np.inf
    if not difference <= TOLERANCE * largest:
        raise InputError(
            f"OpenCV {cv2.__version__} computes wrong values for layer {layer!r}: they differ from onnxruntime's by "
            f"{difference:.3g}, "
            f"and the largest value is {largest:.3g}. Use runtime='onnxruntime'."
        )


def layer_shapes(
    runtime: str, data: np.ndarray, digest: str, layers: tuple[str, ...], values: np.ndarray
) -> dict[str, tuple[int, ...]]:
    """Return the shapes of layers without the batch axis. Layers that the runtime merges with others are missing."""
    if runtime == "onnxruntime":
        session = _session(data, layers, cv2.getNumThreads(), "cpu")
        outs = session.run(list(layers), {session.get_inputs()[0].name: values})
        return {layer: tuple(np.shape(out)[1:]) for layer, out in zip(layers, outs, strict=True)}
    shapes = {}
    for layer in layers:
        with suppress(InputError):
            shapes[layer] = run_onnx(runtime, data, digest, layer, values).shape[1:]
    return shapes


class RecentNetworks:
    """The networks that were used last. Several threads may use them."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.kept: OrderedDict[tuple, Any] = OrderedDict()

    def get(self, key: tuple, make: Callable[[], Any]) -> Any:
        """Return the network with this key; make it if it is not kept."""
        with self.lock:
            if key not in self.kept:
                self.kept[key] = make()
            self.kept.move_to_end(key)
            while len(self.kept) > MOST_KEPT:
                self.kept.popitem(last=False)
            return self.kept[key]


class RecentOfThread(RecentNetworks, threading.local):
    """The networks that this thread used last. A cv2.dnn.Net can be neither pickled nor shared between threads."""


_SESSIONS = RecentNetworks()
_LOADED = RecentOfThread()


def _session(data: np.ndarray, layers: tuple[str, ...], n_threads: int, device: str) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = n_threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 4  # errors are raised, so they need not be printed as well
    return onnxruntime.InferenceSession(with_outputs(data, layers), options, providers=_providers(device))


def _providers(device: str) -> list[str]:
    """Return onnxruntime's names for the devices to use, in order of preference."""
    import onnxruntime

    gpu = "CUDAExecutionProvider"
    use_gpu = device.startswith("cuda") or (device == "auto" and gpu in onnxruntime.get_available_providers())
    return [gpu, "CPUExecutionProvider"] if use_gpu else ["CPUExecutionProvider"]


def _run_onnxruntime(data: np.ndarray, digest: str, layer: str, values: np.ndarray, device: str, n_threads: int) -> np.ndarray:
    key = digest, (layer,), n_threads, device
    errors = _onnxruntime_errors()
    try:
        session = _SESSIONS.get(key, lambda: _session(data, *key[1:]))
        return np.asarray(session.run([layer], {session.get_inputs()[0].name: values})[0])
    except errors as error:
        import onnxruntime

        raise InputError(
            f"onnxruntime {onnxruntime.__version__} cannot run the network up to {layer!r} on a batch of shape {values.shape}: "
            f"{' '.join(str(error).split()):.500} If memory is short, use a smaller batch_size; otherwise export it again."
        ) from error


@cache
def _onnxruntime_errors() -> tuple[type[Exception], ...]:
    from onnxruntime.capi import onnxruntime_pybind11_state as state

    found = (value for value in vars(state).values() if isinstance(value, type) and issubclass(value, Exception))
    return (*found, RuntimeError, MemoryError)


def _opencv_network(data: np.ndarray, layer: str) -> cv2.dnn.Net:
    guarded = with_outputs(without_fused_gates(data), (layer,))
    return cv2.dnn.readNetFromONNX(np.frombuffer(guarded, np.uint8))


def _run_opencv(data: np.ndarray, digest: str, layer: str, values: np.ndarray) -> np.ndarray:
    try:
        network = _LOADED.get((digest, layer), lambda: _opencv_network(data, layer))
        network.setInput(values)
        out = network.forward(layer)
    except cv2.error as error:
        raise InputError(
            f"OpenCV {cv2.__version__} cannot run the network up to {layer!r}: {' '.join(str(error).split())} "
            'Install onnxruntime (pip install "featrec[onnx]"), or export the network with a fixed input size, with another '
            "ONNX opset, or without these operations."
        ) from error
    if out is None:
        raise InputError(
            f"OpenCV {cv2.__version__} returns nothing for layer {layer!r}, because it merges this layer with others. Use "
            'another layer, or install onnxruntime (pip install "featrec[onnx]").'
        )
    return np.array(out)


# Operations that compute a mean over places, and operations after them that do not mix columns. Whether the mean is the code is
# checked with numbers.
MEANS = {"GlobalAveragePool", "AveragePool", "ReduceMean"}
PASSED = {"Flatten", "Reshape", "Squeeze", "Unsqueeze", "Transpose", "Identity", "Dropout", "Cast", "Relu", "Clip"}
# Maximum difference between the mean of the map and the code, relative to the largest value of the code.
MEAN_TOLERANCE = 1e-4

# Maximum number of tokens without a position in the image, such as class tokens and registers.
MOST_PREFIX = 16

# The tensors of each network whose mean may be the output, keyed by the network and the output.
_AVERAGED: dict[tuple[str, str], tuple[str, ...]] = {}


class AveragedMap(NamedTuple):
    """The values (places, channels) of a map or of tokens, and the rows and columns of the map.

    Tokens without a position, such as the class token, come first. If no positions are known, there are no rows and columns.
    """

    values: np.ndarray
    grid: tuple[int, int]

    @classmethod
    def of(cls, network: Any, image: np.ndarray, code: np.ndarray) -> Self | None:
        """Return the map whose mean is the code of the image, or None if the network computes no such map.

        This may be the layer of CNNFeatures itself, or a map from which the network computes the layer. `network` is a
        CNNFeatures that has read its network.
        """
        values = network._input_values([image])
        tolerance = MEAN_TOLERANCE * np.abs(code).max(initial=0.0)
        for out in _candidates(network, values, len(code)):
            for found in cls._readings(out[0], len(code), values.shape[2:]):
                if len(found.values) > 1 and np.abs(found.values.mean(axis=0) - code).max() <= tolerance:
                    return found
        return None

    @classmethod
    def _readings(cls, out: np.ndarray, width: int, size: tuple[int, ...]) -> Iterator[Self]:
        """Yield the output for one image as maps with channels first or last, or as tokens."""
        out = out.astype(np.float64)
        if out.ndim == 3 and out.shape[0] == width:
            yield cls(out.reshape(width, -1).T, (out.shape[1], out.shape[2]))
        if out.ndim == 3 and out.shape[2] == width:
            yield cls(out.reshape(-1, width), (out.shape[0], out.shape[1]))
        if out.ndim == 2 and out.shape[1] == width:
            yield cls(out, token_grid(len(out), (size[0], size[1])) or (0, 0))

    def contributions(self, weights: np.ndarray, code: np.ndarray, window: tuple[float, ...]) -> Contributions:
        """Return what each place adds to ``weights @ code``; `window` is the part of the image that the network sees.

        The difference between the mean and the code, which is due to rounding, is divided equally among the places.
        """
        values = (self.values @ weights + (code - self.values.mean(axis=0)) @ weights) / len(self.values)
        (rows, columns), (top, left, height, width) = self.grid, window
        n_others = len(self.values) - rows * columns
        down, across = np.linspace(top, top + height, rows + 1) - 0.5, np.linspace(left, left + width, columns + 1) - 0.5
        y, x = (each.ravel() for each in np.indices(self.grid))
        cells = rectangles(across[x], down[y], across[x + 1], down[y + 1])
        outlines = np.concatenate([np.full((n_others, 4, 2), np.nan), cells])
        names = [f"token {i} without a position" for i in range(n_others)]
        names += [f"cell in row {row + 1}, column {column + 1} of the map" for row, column in np.ndindex(self.grid)]
        return Contributions(values, frames_of(outlines), outlines, tuple(names))


def _candidates(network: Any, values: np.ndarray, width: int) -> Iterator[np.ndarray]:
    """Yield maps and tokens whose mean may be the output of the layer, and the output itself."""
    runtime = network._available_runtime()
    if runtime == "torch":
        yield from network._torch_network(network._source).maps(values, width)
    if hasattr(network, "network_"):
        key, output = network._key(), getattr(network, "output_", network.layer_)
        if (key, output) not in _AVERAGED:
            _AVERAGED[key, output] = _averaged(read_graph(network.network_, "the network"), output)
        for name in _AVERAGED[key, output]:
            with suppress(InputError):  # a layer that OpenCV merges with others
                yield run_onnx(runtime_of("auto") if runtime == "torch" else runtime, network.network_, key, name, values)
    if runtime != "torch":
        yield network._run(values)


def _averaged(graph: OnnxGraph, output: str) -> tuple[str, ...]:
    """Return the inputs of the means between the output and the last operation that mixes columns, the last one first."""
    made_by = {name: node for node in graph.operations for name in node.outputs}
    found = []
    while output in made_by and made_by[output].kind in MEANS | PASSED:
        node = made_by[output]
        output = node.inputs[0]
        if node.kind in MEANS:
            found.append(output)
    return tuple(found)


def token_grid(n_tokens: int, size: tuple[int, int]) -> tuple[int, int] | None:
    """Return the rows and columns of square patches that cover an input of this size; None if there are no such patches."""
    for n_places in range(n_tokens, max(0, n_tokens - MOST_PREFIX), -1):
        rows = round(math.sqrt(n_places * size[0] / size[1]))
        if rows and n_places % rows == 0 and size[0] * (n_places // rows) == size[1] * rows:
            return rows, n_places // rows
    return None
