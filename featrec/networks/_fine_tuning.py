"""Fine-tuning of torch modules: the trained module to start from, its head, the parts before it, and training of the head."""

from __future__ import annotations

import copy
import os
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from featrec.exceptions import InputError
from featrec.networks._learner import mean_loss
from featrec.networks._network_input import CONVENTIONS, NetworkInput
from featrec.networks._torch_module import (
    file_digest,
    import_timm,
    load_weights,
    read_weights,
    short_name,
    timm_module,
    timm_name,
)
from featrec.networks._torch_network import timm_preprocessing
from featrec.networks._training import ImageBatches

__all__ = [
    "AtInputSize",
    "check_pretrained",
    "declared_input",
    "features_of",
    "find_head",
    "held",
    "parts_before",
    "pretrained",
    "train_head",
    "untrained",
    "with_new_head",
]

# Name of a part of a module, and its layers.
Part = tuple[str, list[Any]]
MOST_ITERATIONS = 200
STAGE = "FineTuned"


def find_head(module: Any, wanted: str | None, name: str) -> str:
    """Return the name of the linear layer that computes the scores: `wanted`, or else the last linear layer."""
    import torch

    linear = [found for found, layer in module.named_modules() if isinstance(layer, torch.nn.Linear)]
    if wanted is not None and wanted not in linear:
        raise InputError(
            f"FineTuned: head must be a linear layer of {name}: {', '.join(linear[-5:]) or 'it has none'}; got {wanted!r}"
        )
    if not linear:
        raise InputError(
            f"FineTuned: {name} has no linear layer, so its head cannot be replaced; put a linear layer at its end"
        )
    return linear[-1] if wanted is None else wanted


def with_new_head(module: Any, head: str, n_classes: int) -> Any:
    """Replace the head by a linear layer with one output per class."""
    import torch

    home, _, name = head.rpartition(".")
    setattr(module.get_submodule(home), name, torch.nn.Linear(module.get_submodule(head).in_features, n_classes))
    return module


def parts_before(module: Any, head: str) -> list[Part]:
    """Return the parts with weights before the head, in order.

    A part is a layer, or a block such as a residual block; containers of blocks are divided. A normalisation layer belongs to
    the part before it.
    """
    layer = module.get_submodule(head)
    parts = _joined(_units(module, "", layer), layer)
    # A network with a single part before its head, such as a backbone, would otherwise be trained as a whole.
    while len(parts) == 1 and any(_with_weights(parts[0][1][0])):
        name, (whole, *norms) = parts[0]
        parts = _joined(_units(whole, f"{name}.", layer), layer)
        parts[-1][1].extend(norms)
    return parts


def _joined(units: Iterator[tuple[str, Any]], head: Any) -> list[Part]:
    """Join normalisation layers to the part before them; stop at the head."""
    parts: list[Part] = []
    for name, child in units:
        if child is head:
            break
        if parts and "norm" in type(child).__name__.lower():
            parts[-1][1].append(child)
        else:
            parts.append((name, [child]))
    return parts


def _units(module: Any, prefix: str, head: Any) -> Iterator[tuple[str, Any]]:
    """Yield the layers and blocks with weights; divide containers, and any module that contains the head."""
    import torch

    for name, child in _with_weights(module):
        contains_head = child is not head and any(inner is head for inner in child.modules())
        if contains_head or isinstance(child, (torch.nn.Sequential, torch.nn.ModuleList)):
            yield from _units(child, f"{prefix}{name}.", head)
        else:
            yield f"{prefix}{name}", child


def _with_weights(module: Any) -> Iterator[tuple[str, Any]]:
    return ((name, child) for name, child in module.named_children() if any(True for _ in child.parameters()))


def features_of(module: Any, head: str, batches: ImageBatches, device: str) -> np.ndarray:
    """Return the inputs of the head for each image, and check that the head is the last layer."""
    import torch

    seen: list[tuple[Any, Any]] = []
    hook = module.get_submodule(head).register_forward_hook(lambda layer, inputs, output: seen.append((inputs[0], output)))
    parts = []
    try:
        with torch.inference_mode():
            for values, _ in batches:
                seen.clear()
                scores = module(values.to(device))
                if len(seen) != 1 or seen[0][0].ndim != 2 or not _equal(seen[0][1], scores):
                    raise InputError(
                        f"FineTuned: the network does not return the outputs of its linear layer {head!r}. Set head to the "
                        "layer that computes the scores, and put no softmax after it"
                    )
                parts.append(seen[0][0].float().cpu().numpy())
    finally:
        hook.remove()
    features = np.concatenate(parts)
    if not np.isfinite(features).all():
        raise InputError("FineTuned: the features of the network are not finite; check its weights and the preprocessing")
    return features


def _equal(first: Any, second: Any) -> bool:
    """Whether two tensors are equal; NaN counts as equal to NaN."""
    import torch

    same: bool = first.shape == second.shape and torch.allclose(first, second, rtol=0, atol=0, equal_nan=True)
    return same


def train_head(
    layer: Any, features: np.ndarray, numbers: Any, weights: np.ndarray | None, class_weights: Any, penalty: float
) -> float:
    """Train a linear layer on fixed features by multinomial logistic regression with L-BFGS; return the loss.

    The features are standardised, and the layer's weights are scaled back at the end. `penalty` is the factor of half the sum
    of squared weights.
    """
    import torch

    device = layer.weight.device
    values, targets = torch.from_numpy(features).to(device), torch.from_numpy(numbers).to(device)
    shares = torch.ones(len(values), device=device) if weights is None else torch.from_numpy(weights).to(device)
    mean, deviation = values.mean(dim=0), values.std(dim=0, correction=0)
    deviation[deviation < 1e-6] = 1
    values = (values - mean) / deviation
    slopes, offsets = torch.zeros_like(layer.weight).requires_grad_(), torch.zeros_like(layer.bias).requires_grad_()
    search = torch.optim.LBFGS([slopes, offsets], max_iter=MOST_ITERATIONS, line_search_fn="strong_wolfe")

    def loss() -> Any:
        return mean_loss(values @ slopes.T + offsets, targets, shares, class_weights)

    def step() -> Any:
        search.zero_grad()
        total = loss() + penalty / 2 * slopes.square().sum()
        total.backward()
        return total

    search.step(step)
    with torch.no_grad():
        layer.weight.copy_(slopes / deviation)
        layer.bias.copy_(offsets - layer.weight @ mean)
        return float(loss())


def held(module: Any) -> Any:
    """Wrap a module so that it always computes as in prediction: batch statistics and dropout are not used."""
    import torch

    class Held(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = module

        def forward(self, values: Any) -> Any:
            return self.inner(values)

        def train(self, mode: bool = True) -> Any:
            return super().train(False)

    return Held()


def check_pretrained(model: Any, weights: Any, sha256: str | None, key_map: Any, download: bool) -> None:
    """Check that there is exactly one source of trained weights."""
    named, scratch = isinstance(model, str), "PixelsNetwork trains from random weights"
    if not named and not callable(getattr(model, "state_dict", None)):
        raise InputError(
            f"{STAGE}: model must be the name of a timm model or a torch.nn.Module with trained weights; got "
            f"{short_name(model)}. {scratch}"
        )
    if not named and (weights is not None or download or key_map is not None):
        raise InputError(
            f"{STAGE}: weights, key_map and download apply to timm models only; the module {short_name(model)} has weights. "
            "Load others with module.load_state_dict"
        )
    if named and (weights is None) != download:
        raise InputError(
            f"{STAGE}: {model!r} needs exactly one source of trained weights: weights='a local file' with its sha256, or "
            f"download=True. {scratch}"
        )
    if weights is not None and sha256 is None:
        raise InputError(
            f"{STAGE}: set sha256, so that changed weights are noticed. The SHA-256 of {os.fspath(weights)!r} is "
            f"{file_digest(Path(weights))!r}; compare it with the published one"
        )


def declared_input(model: Any, preprocessing: Any, size: Any, crop: bool | None) -> NetworkInput:
    """Return the preprocessing of the model, with the changes that the parameters specify."""
    declared, where = _own_preprocessing(model)
    if isinstance(preprocessing, str):
        declared, where = declared | CONVENTIONS[preprocessing], f"preprocessing={preprocessing!r}"
    elif preprocessing is not None:
        declared, where = declared | dict(preprocessing), "preprocessing"
    elif not declared:
        raise InputError(
            f"{STAGE}: the preprocessing of {short_name(model)} is not known and cannot be guessed. Set preprocessing to "
            f"{', '.join(map(repr, CONVENTIONS))} or to a dict of mean, scale and color_order, and set size"
        )
    given = {"size": size, "crop": crop}
    declared |= {key: value for key, value in given.items() if value is not None}
    return NetworkInput.declared(declared, (None, None, None, None), where)


def _own_preprocessing(model: Any) -> tuple[dict[str, Any], str]:
    """Return the preprocessing of a timm model, and where it was found."""
    config = getattr(model, "pretrained_cfg", None)
    if isinstance(model, str):
        found = import_timm(STAGE).get_pretrained_cfg(timm_name(model))
        config = None if found is None else found.to_dict()
    if not isinstance(config, dict) or not {"input_size", "mean", "std"} <= config.keys():
        return {}, ""
    return timm_preprocessing(config), short_name(model)


def pretrained(model: Any, size: tuple[int, int], weights: Any, sha256: str | None, key_map: Any, head: str | None) -> Any:
    """Make a module with trained weights: from a file, from timm's download, or a copy of the module."""
    if not isinstance(model, str):
        return copy.deepcopy(model)
    if weights is None:
        return timm_module(model, STAGE, size=size, pretrained=True)
    state = read_weights(weights, sha256)
    module = untrained(model, size)
    # The weights may come from a model with a different number of classes, because the head is replaced anyway.
    layer = f"{find_head(module, head, model)}.weight"
    names = list(module.state_dict()) if key_map == "order" else [(key_map or {}).get(name, name) for name in state]
    scores = dict(zip(names, state.values(), strict=False)).get(layer)
    if scores is not None and scores.ndim and len(scores) != len(module.state_dict()[layer]):
        module = timm_module(model, STAGE, size=size, num_classes=len(scores))
    load_weights(module, state, key_map, repr(os.fspath(weights)))
    return module


def untrained(model: Any, size: tuple[int, int]) -> Any:
    """Make a module of the same architecture; a module passed by the caller is copied with its weights."""
    return timm_module(model, STAGE, size=size) if isinstance(model, str) else copy.deepcopy(model)


class AtInputSize:
    """Converts an image to the input size and the channels of the network, as bytes."""

    def __init__(self, settings: Mapping[str, Any]):
        n_channels = len(settings["mean"])
        self.plain = replace(NetworkInput(**settings), mean=(0.0,) * n_channels, scale=(1.0,) * n_channels)

    def __call__(self, image: np.ndarray) -> np.ndarray:
        values = np.rint(self.plain.prepare(image)).clip(0, 255).astype(np.uint8)
        return np.ascontiguousarray(values.transpose(1, 2, 0))
