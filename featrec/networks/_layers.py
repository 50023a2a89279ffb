"""The layers of a network, with their shapes, parameters and multiply-adds, and the size and cost of a whole module."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from featrec.base import check_sizes
from featrec.exceptions import InputError
from featrec.networks._network_source import NetworkSource
from featrec.networks._onnx_graph import Node, OnnxGraph, read_graph
from featrec.networks._onnx_network import layer_shapes, runtime_of
from featrec.networks._torch_network import Pretrained

__all__ = ["Layer", "cost_up_to", "list_layers", "module_facts"]


@dataclass(frozen=True)
class Layer:
    """A layer of a network.

    Attributes
    ----------
    name : str
        Name for the parameter `layer` of CNNFeatures and CNNMaps.
    kind : str
        Operation, such as "Conv" or "Linear".
    shape : tuple of int or None
        Shape of its output for one image, without the batch axis; None if it is not known.
    n_parameters : int
        Number of weights that the layer itself uses.
    n_multiply_adds : int
        Multiplications and additions for one image, in convolutions and matrix products with weights; 0 for other operations.
    """

    name: str
    kind: str
    shape: tuple[int, ...] | None
    n_parameters: int
    n_multiply_adds: int


def list_layers(
    model: Any,
    *,
    size: int | tuple[int, int] | None = None,
    weights: str | os.PathLike | None = None,
    sha256: str | None = None,
    key_map: Mapping[str, str] | str | None = None,
    download: bool = False,
) -> tuple[Layer, ...]:
    """List the layers of a network in the order of computation.

    The network is run once on an image of zeros to learn the shapes. A timm model given by name needs no weights here: without
    `weights` and `download`, its layers are listed with random weights.

    Parameters
    ----------
    model : path, bytes, str, torch.nn.Module or torchvision weights
        The network, as in :class:`~featrec.networks.CNNFeatures`.
    size : int or tuple of (height, width), optional
        Input size. Default: the size in the ONNX file or the configuration of the model, else 224 × 224.
    weights, sha256, key_map, download
        As in :class:`~featrec.networks.CNNFeatures`.

    Returns
    -------
    layers : tuple of Layer

    Examples
    --------
    The bytes of a small ONNX file: a convolution with two filters of 1 × 1 pixel and a ReLU, for images of 4 × 4 pixels. The
    path of a file is passed in the same way.

    >>> from base64 import b64decode
    >>> from featrec.networks import list_layers
    >>> network = b64decode(
    ...     "CAg6lwEKFQoFaW1hZ2UKAXcSA21hcCIEQ29udgoRCgNtYXASBHJlbHUiBFJlbHUSAWcqJwgCCAMIAQgBEAFCAXdKGAAAgD8AAIA/"
    ...     "AACAPwAAgD8AAIA/AACAP1ofCgVpbWFnZRIWChQIARIQCgIIAQoCCAMKAggECgIIBGIeCgRyZWx1EhYKFAgBEhAKAggBCgIIAgoC"
    ...     "CAQKAggEQgQKABAN"
    ... )
    >>> for layer in list_layers(network):
    ...     print(layer.name, layer.kind, layer.shape, layer.n_parameters, layer.n_multiply_adds)
    map Conv (2, 4, 4) 6 96
    relu Relu (2, 4, 4) 0 0
    """
    source = NetworkSource.find(model, Pretrained(weights, sha256, key_map, download), untrained=True)
    if source.function is not None:
        raise InputError(f"{source.name} is a function, whose layers cannot be listed")
    if source.graph is not None:
        return _onnx_layers(source, source.graph, size)
    declared = source.declared or {}
    channels = 1 if declared.get("color_order") == "gray" else 3
    height, width = check_sizes("size", size or declared.get("size") or 224, 2)
    return _module_layers(source.module, (1, channels, height, width))


def cost_up_to(layer: str, data: np.ndarray, digest: str, size: tuple[int, int], runtime: str) -> tuple[int, int]:
    """Return how many parameters, and how many multiply-adds per image, are needed to compute a layer of an ONNX file."""
    graph = read_graph(data, "the network")
    layers = _measured_layers(graph.operations_for(layer), graph, data, digest, size, runtime)
    return sum(each.n_parameters for each in layers), sum(each.n_multiply_adds for each in layers)


def _onnx_layers(source: NetworkSource, graph: OnnxGraph, size: Any) -> tuple[Layer, ...]:
    sides = check_sizes("size", size, 2) if size is not None else [side or 224 for side in graph.shape[2:]]
    data = np.frombuffer(source.data, np.uint8)
    return _measured_layers(graph.operations, graph, data, source.digest, (sides[0], sides[1]), runtime_of("auto"))


def _measured_layers(
    nodes: tuple[Node, ...], graph: OnnxGraph, data: np.ndarray, digest: str, size: tuple[int, int], runtime: str
) -> tuple[Layer, ...]:
    """Run the network on an image of zeros to learn the shapes of the outputs of the nodes."""
    values = np.zeros((graph.shape[0] or 1, graph.shape[1] or 3, *size), np.float32)
    names = tuple(name for node in nodes for name in node.outputs if name)
    shapes = layer_shapes(runtime, data, digest, names, values)
    weights = graph.weight_shapes()
    layers = []
    for node in nodes:
        used = [weights[name] for name in dict.fromkeys(node.inputs) if name in weights]
        for place, name in enumerate(node.outputs):
            if name:
                shape = shapes.get(name)
                n_parameters = 0 if place else sum(map(math.prod, used))
                layers.append(Layer(name, node.kind, shape, n_parameters, 0 if place else _onnx_work(node, shape, used)))
    return tuple(layers)


def _onnx_work(node: Node, shape: tuple[int, ...] | None, used: list[tuple[int, ...]]) -> int:
    """Return the multiply-adds of a node: each output value needs one product per weight of its channel."""
    if shape is None or not used or node.kind not in {"Conv", "ConvTranspose", "Gemm", "MatMul"}:
        return 0
    weight = used[0]
    if node.kind == "Conv":
        return math.prod(shape) * math.prod(weight[1:])
    if node.kind == "ConvTranspose":
        return math.prod(shape[1:]) * math.prod(weight)
    return math.prod(shape) * math.prod(weight) // max(1, shape[-1])


def _module_layers(module: Any, shape: tuple[int, ...]) -> tuple[Layer, ...]:
    """Run a module once with a hook on each submodule."""
    import torch

    found: dict[str, Layer] = {}
    names = {each: name for name, each in module.named_modules() if name}

    def note(each: Any, inputs: Any, out: Any) -> None:
        sides = tuple(out.shape[1:]) if isinstance(out, torch.Tensor) else None
        own = sum(parameter.numel() for parameter in each.parameters(recurse=False))
        work = multiply_adds(each, inputs[0], out) if isinstance(each, _counted()) else 0
        found[names[each]] = Layer(names[each], type(each).__name__, sides, own, work)

    try:
        _run_once(module, shape, names, note)
    except RuntimeError as error:
        raise InputError(f"{type(module).__name__} cannot be run on an image of shape {shape[1:]}: {error}") from error
    return tuple(found.values())


def module_facts(module: Any, shape: tuple[int, int, int], n_classes: int, name: str, stage: str) -> tuple[int, int]:
    """Return the number of weights and of multiply-adds for one image, and check that there is one output per class.

    Convolutions and linear layers are counted; other layers, and the products of attention, are not.
    """
    counts: list[int] = []
    counted = [layer for layer in module.modules() if isinstance(layer, _counted())]
    try:
        output = _run_once(
            module,
            (1, shape[2], *shape[:2]),
            counted,
            lambda layer, inputs, out: counts.append(multiply_adds(layer, inputs[0], out)),
        )
    except Exception as error:
        raise InputError(
            f"{stage}: {name} cannot process images of {shape[0]} × {shape[1]} pixels with {shape[2]} channel(s): "
            f"{str(error)[:300]}. They may be too small: put Resize((height, width)) before it"
        ) from error
    found = tuple(output.shape) if hasattr(output, "detach") else type(output).__name__
    if found != (1, n_classes):
        raise InputError(
            f"{stage}: {name} must return one score for each of the {n_classes} classes; for one image it returns {found}"
        )
    return sum(parameter.numel() for parameter in module.parameters()), sum(counts)


def _counted() -> tuple[type, ...]:
    """Return the classes of layers whose multiply-adds are counted."""
    import torch

    return torch.nn.modules.conv._ConvNd, torch.nn.Linear


def _run_once(module: Any, shape: tuple[int, ...], layers: Iterable[Any], note: Callable[[Any, Any, Any], None]) -> Any:
    """Run a module on zeros as in prediction, with a hook on some layers; return its output."""
    import torch

    hooks = [layer.register_forward_hook(note) for layer in layers]
    training = {layer: layer.training for layer in module.modules()}
    try:
        with torch.inference_mode():
            return module.eval()(torch.zeros(shape))
    finally:
        for hook in hooks:
            hook.remove()
        for layer, mode in training.items():
            layer.training = mode


def multiply_adds(layer: Any, values: Any, output: Any) -> int:
    """Count one multiply-add per filter weight for each output value of a convolution (input value if it is transposed)."""
    import torch

    if isinstance(layer, torch.nn.Linear):
        return output.numel() * layer.in_features
    transposed = getattr(layer, "transposed", False)
    maps = layer.out_channels if transposed else layer.in_channels
    return (values if transposed else output).numel() * maps // layer.groups * math.prod(layer.kernel_size)
