"""The trained network that FineTuned starts from: its weights, and its preprocessing."""

from __future__ import annotations

import copy
import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from featrec.exceptions import InputError
from featrec.networks._fine_tuning import find_head
from featrec.networks._module_source import import_timm, short_name, timm_module, timm_name
from featrec.networks._network_input import CONVENTIONS, NetworkInput
from featrec.networks._torch_network import timm_preprocessing
from featrec.networks._weight_files import file_digest, load_weights, read_weights

__all__ = ["AtInputSize", "check_pretrained", "declared_input", "pretrained", "untrained"]

STAGE = "FineTuned"


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
