"""Where a network comes from: an ONNX file, a torch module, a timm name, torchvision weights, or a function."""

from __future__ import annotations

import hashlib
import io
import json
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from featrec.exceptions import InputError, MissingExtraError
from featrec.networks._onnx_graph import OnnxGraph, read_graph
from featrec.networks._stored_network import quiet
from featrec.networks._torch_network import (
    Pretrained,
    is_exported,
    is_module,
    is_torchvision_weights,
    module_digest,
    named_model,
    timm_preprocessing,
)

__all__ = ["NetworkSource", "is_file", "is_name", "network_name"]

TORCH_FILES = {".pt", ".pth", ".ckpt", ".bin", ".pkl", ".safetensors"}
OTHER_FILES = {".h5", ".keras", ".tflite", ".pb"}


@dataclass(frozen=True)
class NetworkSource:
    """A network that has been found: either an ONNX file (`graph` and `data`), a torch `module`, or a `function`.

    `declared` is the preprocessing that was published with the network, if it is known, and `where` says where it was found.
    """

    name: str
    digest: str = ""
    graph: OnnxGraph | None = None
    data: bytes = b""
    module: Any = None
    function: Callable[[np.ndarray], Any] | None = None
    declared: dict[str, Any] | None = None
    where: str = ""

    @classmethod
    def find(cls, model: Any, pretrained: Pretrained, *, untrained: bool = False) -> NetworkSource:
        """Read the network that the parameter `model` describes. With `untrained`, models given by name need no weights."""
        if is_name(model) or is_torchvision_weights(model):
            named = named_model(model, pretrained, untrained)
            where = "the configuration of the model"
            return cls(str(model), named.digest, module=named.module, declared=named.declared, where=where)
        if pretrained != Pretrained():
            raise InputError(
                "weights, sha256, key_map and download apply to models given by name, such as 'timm:resnet18'; got "
                f"model={network_name(model)}"
            )
        if is_module(model):
            name, digest, declared = network_name(model), module_digest(model), _own_preprocessing(model)
            return cls(name, digest, module=model, declared=declared, where="the model")
        if is_exported(model):
            return _onnx_source(_program_bytes(model), network_name(model))
        if is_file(model):
            return _file_source(model)
        return cls(network_name(model), function=model)


def is_name(model: Any) -> bool:
    """Whether the parameter is the name of a timm model."""
    return isinstance(model, str) and model.startswith("timm:")


def is_file(model: Any) -> bool:
    """Whether the parameter is a file or the content of a file."""
    return isinstance(model, (str, bytes, os.PathLike))


def network_name(model: Any) -> str:
    """Return a name for messages; a torch module would print all of its layers."""
    if isinstance(model, bytes):
        return "the model given as bytes"
    if is_file(model) and not is_name(model):
        return repr(str(Path(model)))
    return model if isinstance(model, str) else getattr(model, "__name__", type(model).__name__)


def _file_source(model: str | bytes | os.PathLike) -> NetworkSource:
    name = network_name(model)
    if isinstance(model, bytes):
        return _onnx_source(model, name)
    path = Path(model)
    if path.suffix == ".pt2":
        return _onnx_source(_program_bytes(_program(path)), name)
    if path.suffix in TORCH_FILES | OTHER_FILES and path.is_file():
        raise InputError(f"{name} is not an ONNX file. {_way_out(path.suffix)}")
    source = _onnx_source(_file_bytes(path), name)
    beside = path.with_suffix(".json")
    return replace(source, declared=_json(beside), where=repr(str(beside))) if beside.is_file() else source


def _way_out(suffix: str) -> str:
    if suffix in OTHER_FILES:
        return "Export the network to ONNX, for example with tf2onnx."
    return (
        "A torch file contains weights without the network, or code that would be executed. Give the torch module "
        "itself, a timm "
        "name with weights=, or an ONNX file: torch.onnx.export(module.eval(), (torch.zeros(1, 3, 224, 224),), 'net.onnx')."
    )


def _onnx_source(data: bytes, name: str) -> NetworkSource:
    return NetworkSource(name, hashlib.sha256(data).hexdigest(), read_graph(data, name), data)


def _file_bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise InputError(f"no network file at {str(path)!r}; check the path and the working directory") from None
    except (OSError, ValueError) as error:
        raise InputError(f"the network at {str(path)!r} cannot be opened: {error}") from error


def _json(path: Path) -> dict[str, Any]:
    try:
        declared = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{str(path)!r} cannot be read as JSON: {error}") from error
    if not isinstance(declared, dict):
        raise InputError(f"{str(path)!r} must contain one object with mean, scale and color_order; got {declared!r:.80}")
    return declared


def _program(path: Path) -> Any:
    try:
        import torch
    except ImportError as error:
        raise MissingExtraError(f'{str(path)!r} needs torch; pip install "featrec[torch]" installs it') from error
    try:
        return torch.export.load(path)
    except Exception as error:
        raise InputError(f"{str(path)!r} cannot be read as an ExportedProgram: {' '.join(str(error).split()):.200}") from error


def _program_bytes(program: Any) -> bytes:
    """Convert an ExportedProgram of torch to the bytes of an ONNX file."""
    import torch

    buffer = io.BytesIO()
    with quiet():
        torch.onnx.export(program, dynamo=True, verbose=False).save(buffer)
    return buffer.getvalue()


def _own_preprocessing(module: Any) -> dict[str, Any] | None:
    """Return the preprocessing of a timm module from its configuration; other modules have none."""
    if "timm" not in sys.modules or not isinstance(getattr(module, "pretrained_cfg", None), dict):
        return None
    import timm

    return timm_preprocessing(timm.data.resolve_model_data_config(module))
