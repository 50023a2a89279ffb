"""Export a torch module to ONNX, compare the export with the module, and run it without torch.

A model file contains the export instead of a module, because a module is code. Some runtimes return wrong numbers for some
networks without an error. Therefore, the outputs of the module for two fixed inputs are stored, and compared whenever a runtime
loads the network.
"""

from __future__ import annotations

import hashlib
import inspect
import io
import math
import threading
import warnings
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from featrec.exceptions import InputError
from featrec.networks._onnx_network import run_onnx, runtime_of
from featrec.networks._training import LOCK

__all__ = ["check_input", "exported", "onnx_bytes", "quiet", "scores_of"]

# Networks that a thread keeps; a cv2.dnn.Net can be neither pickled nor shared between threads.
KEPT = 2
# Maximum difference between the scores of the module and those of a runtime, as a share of the largest score.
TOLERANCE = 1e-3
# Name of the output of an export.
SCORES = "scores"
# Operators of this version run in OpenCV 4.10, onnxruntime 1.18, and all later versions of both.
OPSET = 17


def check_input(shape: tuple[int, int, int]) -> np.ndarray:
    """Return two inputs (2, channels, height, width) with the mean and the deviation of normalised images.

    The inputs do not depend on the version of numpy, because model files contain the scores for them.
    """
    n_values = 2 * math.prod(shape)
    spread = np.arange(n_values, dtype=np.uint64) * np.uint64(2654435761) % np.uint64(2**32)
    values = (spread / 2**32 - 0.5) * math.sqrt(12)
    return values.astype(np.float32).reshape(2, shape[2], *shape[:2])


def exported(module: Any, shape: tuple[int, int, int]) -> tuple[np.ndarray, np.ndarray] | str:
    """Export a module for images of this shape; the module is moved to the CPU.

    Return the bytes of the ONNX file and the scores of the module for :func:`check_input`, or the reason why the export failed.
    """
    import torch

    module = module.to("cpu").eval()
    values = check_input(shape)
    try:
        network = np.frombuffer(onnx_bytes(module, torch.from_numpy(values), SCORES), np.uint8)
    except Exception as error:
        return f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"
    with torch.inference_mode():
        expected = module(torch.from_numpy(values)).float().numpy()
    try:
        scores_of(network, expected, shape)
    except InputError as error:
        return str(error)
    return network, expected


def onnx_bytes(module: Any, example: Any, output: str, *, free_size: bool = False) -> bytes:
    """Export a module to the content of an ONNX file that accepts any batch size, and with `free_size` any image size.

    The older exporter of torch is tried first: the newer one is slower and needs more packages.
    """
    import torch

    names: dict[str, Any] = {"input_names": ["images"], "output_names": [output]}
    free = {0: "n"} | ({2: "height", 3: "width"} if free_size else {})
    with LOCK, quiet(), torch.inference_mode():  # the exporters have global state
        try:
            older = {"dynamo": False} if "dynamo" in inspect.signature(torch.onnx.export).parameters else {}
            buffer, axes = io.BytesIO(), {"images": free, output: {0: "n"}}
            torch.onnx.export(module, (example,), buffer, dynamic_axes=axes, opset_version=OPSET, **names, **older)
        except Exception as error:
            try:
                shapes = ({axis: torch.export.Dim(name) for axis, name in free.items()},)
                program = torch.onnx.export(module, (example,), dynamo=True, dynamic_shapes=shapes, verbose=False, **names)
            except Exception:
                raise error from None
            buffer = io.BytesIO()
            program.save(buffer)
    return buffer.getvalue()


@contextmanager
def quiet() -> Iterator[None]:
    """Hide warnings and log messages of torch and its exporters, which contain nothing that a user of featrec can act on."""
    import logging

    loggers = [logging.getLogger(name) for name in ("torch.onnx", "onnxscript", "torch.export", "onnx_ir")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def scores_of(network: np.ndarray, expected: np.ndarray, shape: tuple[int, int, int], n_threads: int = 1) -> Callable:
    """Return a function from a batch (n, channels, height, width) to scores, run by onnxruntime or else OpenCV."""
    return _LOADED.get(network, expected, shape, n_threads)


class _Loaded(threading.local):
    """The networks that this thread used last, keyed by digest."""

    def __init__(self) -> None:
        self.networks: OrderedDict[tuple, Callable] = OrderedDict()

    def get(self, network: np.ndarray, expected: np.ndarray, shape: tuple[int, int, int], n_threads: int) -> Callable:
        key = (hashlib.sha256(network.tobytes()).digest(), expected.tobytes(), tuple(shape), n_threads)
        if key not in self.networks:
            self.networks[key] = _checked(network, expected, shape, n_threads)
        self.networks.move_to_end(key)
        while len(self.networks) > KEPT:
            self.networks.popitem(last=False)
        return self.networks[key]


_LOADED = _Loaded()


def _checked(network: np.ndarray, expected: np.ndarray, shape: tuple[int, int, int], n_threads: int) -> Callable:
    runtime, values = runtime_of("auto"), check_input(shape)
    digest = hashlib.sha256(network.tobytes()).hexdigest()

    def run(values: np.ndarray) -> np.ndarray:
        return np.asarray(run_onnx(runtime, network, digest, SCORES, values, "cpu", n_threads), np.float32)

    expected = expected[[0, 1, 1]]
    # The second run shows whether the export depends on the number of images.
    found = np.concatenate([run(values), run(values[1:])])
    largest = float(np.abs(expected).max())
    if found.shape != expected.shape or not np.abs(found - expected).max() <= TOLERANCE * largest:
        raise InputError(
            f"{runtime} computes different scores from the torch module that was exported: {found.ravel()[:3]} instead of "
            f'{expected.ravel()[:3]}. Use the other runtime: pip install "featrec[onnx]" installs onnxruntime, which is '
            "preferred to OpenCV"
        )
    return run
