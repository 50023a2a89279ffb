"""Size and computing cost of a torch module, and checks that it suits the images and the classes."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

from featrec.exceptions import InputError

__all__ = ["ModuleFacts", "module_facts", "multiply_adds"]


class ModuleFacts(NamedTuple):
    """Number of weights, and number of multiplications with an addition for one image."""

    n_parameters: int
    n_multiply_adds: int


def module_facts(module: Any, shape: tuple[int, int, int], n_classes: int, name: str, stage: str) -> ModuleFacts:
    """Count weights and multiply-adds in a forward pass of one image, and check that there is one output per class.

    Hooks count the convolutions and linear layers; other layers, and the products of attention, are not counted.
    """
    import torch

    counts: list[int] = []
    kinds = (torch.nn.modules.conv._ConvNd, torch.nn.Linear)
    hooks = [
        layer.register_forward_hook(lambda layer, inputs, output: counts.append(multiply_adds(layer, inputs[0], output)))
        for layer in module.modules()
        if isinstance(layer, kinds)
    ]
    training = {layer: layer.training for layer in module.modules()}
    try:
        with torch.inference_mode():
            output = module.eval()(torch.zeros(1, shape[2], *shape[:2]))
    except Exception as error:
        raise InputError(
            f"{stage}: {name} cannot process images of {shape[0]} × {shape[1]} pixels with {shape[2]} channel(s): "
            f"{str(error)[:300]}. They may be too small: put Resize((height, width)) before it"
        ) from error
    finally:
        for hook in hooks:
            hook.remove()
        for layer, mode in training.items():
            layer.training = mode
    found = tuple(output.shape) if isinstance(output, torch.Tensor) else type(output).__name__
    if found != (1, n_classes):
        raise InputError(
            f"{stage}: {name} must return one score for each of the {n_classes} classes; for one image it returns {found}"
        )
    return ModuleFacts(sum(parameter.numel() for parameter in module.parameters()), sum(counts))


def multiply_adds(layer: Any, values: Any, output: Any) -> int:
    """Count one multiply-add per filter weight for each output value of a convolution (input value if it is transposed)."""
    import torch

    if isinstance(layer, torch.nn.Linear):
        return output.numel() * layer.in_features
    transposed = getattr(layer, "transposed", False)
    maps = layer.out_channels if transposed else layer.in_channels
    return (values if transposed else output).numel() * maps // layer.groups * math.prod(layer.kernel_size)
