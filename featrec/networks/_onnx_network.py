"""Run an ONNX file with onnxruntime or OpenCV."""

from __future__ import annotations

import importlib.util
import threading
from collections import OrderedDict
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from typing import Any

import cv2
import numpy as np

from featrec.exceptions import InputError, MissingExtraError
from featrec.networks._onnx_graph import with_outputs, without_fused_gates

__all__ = [
    "RUNTIMES",
    "RecentNetworks",
    "RecentOfThread",
    "check_runtimes_agree",
    "is_installed",
    "layer_shapes",
    "run_onnx",
    "runtime_of",
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
