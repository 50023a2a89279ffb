"""StoredNetwork: the parts of a trained network that a model file contains, with the ONNX export of its module.

A model file contains the export instead of a module, because a module is code. Some runtimes return wrong numbers for some
networks without an error. Therefore, the outputs of the module for two fixed inputs are stored, and compared whenever a runtime
loads the network.
"""

from __future__ import annotations

import hashlib
import inspect
import io
import math
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, ClassVar

import numpy as np

from featrec.exceptions import InputError
from featrec.model_files import Stored, check_stored_array
from featrec.networks._onnx_graph import read_graph
from featrec.networks._onnx_network import RecentOfThread, run_onnx, runtime_of
from featrec.networks._torch_module import check_source, is_named, short_name
from featrec.networks._training import LOCK

__all__ = ["MOST_INPUT", "StoredNetwork", "check_input", "onnx_bytes", "quiet", "scores_of"]

# Maximum number of values of one input, for model files.
MOST_INPUT = 2**27
# Maximum difference between the scores of the module and those of a runtime, as a share of the largest score.
TOLERANCE = 1e-3
# Name of the output of an export.
SCORES = "scores"
# Operators of this version run in OpenCV 4.10, onnxruntime 1.18, and all later versions of both.
OPSET = 17


class StoredNetwork:
    """Mixin of estimators with a trained torch module.

    A model file contains no code. It contains the weights and the name of the module, or an ONNX export if featrec has no name
    for the module.
    """

    # The parameter that specifies the module.
    _source_parameter: ClassVar[str]
    # Whether the module is one of featrec's, which compute nothing while they are made.
    _own: ClassVar[bool] = False
    # Whether the parameter can be the name of one of featrec's modules.
    _own_names: ClassVar[bool] = True
    shape_: tuple[int, int, int]

    def _source(self) -> Any:
        """Return the parameter that specifies the module."""
        return getattr(self, self._source_parameter)

    def _check_source(self) -> None:
        """Check a name. Predictions also need this check, because the name may come from a model file."""
        if not self._own:
            check_source(self._source(), type(self).__name__, self._source_parameter, own=self._own_names)

    def _export(self, module: Any) -> None:
        """Export a module that a model file cannot name."""
        for name in ("network_", "scores_", "export_failure_"):
            self.__dict__.pop(name, None)
        if self._own or is_named(self._source()):
            return
        export = exported(module, self.shape_)
        if isinstance(export, str):
            self.export_failure_ = export
        else:
            self.network_, self.scores_ = export

    def _stored_attributes(self) -> dict[str, Any]:
        """Return what a model file contains instead of a module."""
        if self._own or isinstance(self._source(), str):
            return {}
        stage, name = type(self).__name__, short_name(self._source())
        if not hasattr(self, "state_"):
            raise InputError(
                f"{stage} with {self._source_parameter}={name} cannot be saved before fit: a model file contains no code, only "
                "the network that fit exports. Fit it first, or use the name of a model, such as 'timm:resnet18'"
            )
        if not hasattr(self, "network_"):
            raise InputError(
                f"{stage} with {self._source_parameter}={name} cannot be saved: a model file contains an ONNX export of the "
                f'module, which failed in fit ({self.export_failure_}). pip install "featrec[torch]" installs what the export '
                "needs; otherwise change the module, or use the name of a model, such as 'timm:resnet18'"
            )
        return {self._source_parameter: name, "state_": {}}

    @staticmethod
    def _check_stored_settings(stored: Stored) -> None:
        if "shape_" in stored:
            shape = stored["shape_"]
            whole = isinstance(shape, list) and len(shape) == 3 and all(type(side) is int and side > 0 for side in shape)
            if not whole or math.prod(shape) > MOST_INPUT:
                raise ValueError(f"images of shape {shape!r:.80}; expected three sizes with at most {MOST_INPUT:,} numbers")

    @staticmethod
    def _check_stored_arrays(stored: Stored) -> None:
        if "state_" not in stored:
            return
        n_channels = stored["shape_"][2]
        check_stored_array("means", stored["mean_"], (n_channels,), np.float32)
        check_stored_array("deviations", stored["deviation_"], (n_channels,), np.float32)
        if not (stored["deviation_"] > 0).all():
            raise ValueError(f"a deviation of {stored['deviation_'].min()}; all must be greater than 0")
        state = stored["state_"]
        for name, values in state.items() if isinstance(state, dict) else [("state_", state)]:
            array = np.asarray(values)
            if array.dtype.kind not in "biuf" or not np.isfinite(array).all():
                raise ValueError(f"weights {name!r:.80} that are not finite numbers")
        if not state:
            check_stored_array("a network", stored["network_"], (None,), np.uint8)
            read_graph(stored["network_"], "the network")
            check_stored_array("scores", stored["scores_"], (len(check_input((1, 1, 1))), len(stored["classes_"])), np.float32)


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
    key = (hashlib.sha256(network.tobytes()).digest(), expected.tobytes(), tuple(shape), n_threads)
    found: Callable = _LOADED.get(key, lambda: _checked(network, expected, shape, n_threads))
    return found


_LOADED = RecentOfThread()


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
