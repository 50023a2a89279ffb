"""Networks from torch, timm and torchvision: find the module, run it up to a layer, and export it to ONNX.

torch, timm and torchvision are imported only inside functions.
"""

from __future__ import annotations

import copy
import hashlib
import sys
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from featrec.exceptions import InputError
from featrec.networks._onnx_network import RecentNetworks
from featrec.networks._stored_network import onnx_bytes, quiet
from featrec.networks._torch_module import check_timm_name, import_timm, load_weights, nearest_names, read_weights, timm_name

__all__ = [
    "KEPT",
    "Pretrained",
    "TorchNetwork",
    "is_exported",
    "is_module",
    "is_torchvision_weights",
    "module_digest",
    "named_model",
    "timm_preprocessing",
]

# Layers of timm models that are not modules: the features before the classifier, and the maps between the stages.
PRE_LOGITS = "pre_logits"
MAP = "map:"
# Suffixes of the tags of timm weights.
TRAINED_ON = {"in1k": "ImageNet-1k", "in22k": "ImageNet-22k", "in21k": "ImageNet-21k", "in12k": "ImageNet-12k", "openai": "WIT"}
PRECISIONS = {"float16": "float16", "bfloat16": "bfloat16"}


def is_module(model: Any) -> bool:
    """Whether the object is a torch.nn.Module; torch is not imported."""
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(model, torch.nn.Module)


def is_exported(model: Any) -> bool:
    """Whether the object is a torch.export.ExportedProgram; torch is not imported."""
    export = sys.modules.get("torch.export")
    return export is not None and isinstance(model, export.ExportedProgram)


def is_torchvision_weights(model: Any) -> bool:
    """Whether the object is a member of a weights enum of torchvision, such as ``ResNet18_Weights.DEFAULT``."""
    return hasattr(model, "transforms") and hasattr(model, "url") and hasattr(model, "meta")


class Pretrained(NamedTuple):
    """Where the weights of a named model come from."""

    weights: Any = None
    sha256: str | None = None
    key_map: Any = None
    download: bool = False


class NamedModel(NamedTuple):
    """A module, its published preprocessing (None if unknown), and a digest of its weights."""

    module: Any
    declared: dict[str, Any] | None
    digest: str


def named_model(model: Any, pretrained: Pretrained, untrained: bool = False) -> NamedModel:
    """Make the module that is specified by a timm name ("timm:resnet18") or a torchvision weights object."""
    make: Any = _timm_model if isinstance(model, str) else _torchvision_model
    module, declared = make(model, pretrained, untrained)
    if pretrained.weights is not None:
        state = read_weights(pretrained.weights, pretrained.sha256)
        load_weights(module, state, pretrained.key_map, repr(str(pretrained.weights)))
    return NamedModel(module.eval(), declared, module_digest(module))


def _timm_model(model: str, pretrained: Pretrained, untrained: bool) -> tuple[Any, dict[str, Any]]:
    stage = repr(model)
    check_timm_name(model, stage)
    if not untrained:
        _check_weights_given(model, pretrained)
    timm = import_timm(stage)
    with quiet():
        module = timm.create_model(timm_name(model), pretrained=pretrained.download and pretrained.weights is None)
    declared = timm_preprocessing(timm.data.resolve_model_data_config(module))
    tag = str(module.pretrained_cfg.get("tag")) if pretrained.download else timm_name(model).partition(".")[2]
    trained_on = next((images for part, images in TRAINED_ON.items() if tag.endswith(part)), None)
    return module, declared | ({} if trained_on is None else {"pretrained_on": trained_on})


def _check_weights_given(model: Any, pretrained: Pretrained) -> None:
    if pretrained.weights is None and not pretrained.download:
        raise InputError(
            f"{model} needs trained weights, and nothing is downloaded unless you ask for it. Set weights to a local file "
            "(.safetensors or .pth, with its sha256), or set download=True."
        )


def _torchvision_model(model: Any, pretrained: Pretrained, untrained: bool) -> tuple[Any, dict[str, Any]]:
    from torchvision import models

    name = next(name for name in models.list_models() if models.get_model_weights(name) is type(model))
    if not untrained:
        _check_weights_given(model, pretrained)
    wanted = model if pretrained.download and pretrained.weights is None else None
    return models.get_model(name, weights=wanted), _torchvision_preprocessing(model.transforms()) | {
        "pretrained_on": "ImageNet-1k"
    }


def timm_preprocessing(config: dict[str, Any]) -> dict[str, Any]:
    channels, *size = config["input_size"]
    declared = _unit_scaled(config["mean"], config["std"], "rgb" if channels == 3 else "gray")
    squash = config.get("crop_mode") == "squash"
    return declared | {
        "size": tuple(size),
        "crop": not squash,
        "crop_fraction": float(config.get("crop_pct") or 1.0),
        "interpolation": _interpolation(config.get("interpolation")),
    }


def _torchvision_preprocessing(transforms: Any) -> dict[str, Any]:
    (crop,), (resized,) = transforms.crop_size, transforms.resize_size
    declared = _unit_scaled(transforms.mean, transforms.std, "rgb")
    interpolation = _interpolation(getattr(transforms.interpolation, "value", "bilinear"))
    return declared | {"size": (crop, crop), "crop": True, "crop_fraction": crop / resized, "interpolation": interpolation}


def _unit_scaled(mean: Any, std: Any, order: str) -> dict[str, Any]:
    """Return the declaration for a mean and a standard deviation of values from 0 to 1."""
    means, scales = tuple(255 * float(value) for value in mean), tuple(1 / (255 * float(value)) for value in std)
    return {"mean": means, "scale": scales, "color_order": order}


def _interpolation(name: Any) -> str:
    return name if name in ("bilinear", "bicubic") else "bicubic"


def module_digest(module: Any) -> str:
    """Return a SHA-256 of the class, the names and the values of the weights of a module."""
    digest = hashlib.sha256(type(module).__qualname__.encode())
    for name, value in module.state_dict().items():
        array = np.ascontiguousarray(value.detach().cpu().float().numpy() if value.is_floating_point() else value.cpu().numpy())
        digest.update(f"{name} {array.dtype} {array.shape} ".encode())
        digest.update(array.data)
    return digest.hexdigest()


class _Reached(BaseException):
    """Raised when the wanted layer has been computed, so later layers are not computed.

    It is not an Exception, so the network does not catch it.
    """

    def __init__(self, output: Any):
        self.output = output


class TorchNetwork:
    """A separate copy of a module in evaluation mode, which runs up to a layer.

    `layer` is the name of a submodule, None for the output of the network, and for timm models also "pre_logits" (the features
    before the classifier) or "map:-1" (the map after the last stage; "map:0" is the first).
    """

    def __init__(self, module: Any, layer: str | None, device: str = "cpu", precision: str = "float32", name: str = "network"):
        self.module = copy.deepcopy(module).to(device).eval()
        self.layer, self.device, self.precision = layer, device, precision
        self._compute = _computation(self.module, layer, name)

    def run(self, values: np.ndarray) -> np.ndarray:
        """Return the outputs of the layer for a batch (n, channels, height, width)."""
        import torch

        with torch.inference_mode(), self._autocast():
            try:
                out = self._compute(torch.from_numpy(values).to(self.device))
            except torch.OutOfMemoryError as error:
                raise InputError(f"a batch of {len(values)} images does not fit in memory; use a smaller batch_size") from error
            except RuntimeError as error:
                raise InputError(
                    f"the network cannot be run on a batch of shape {values.shape}: {' '.join(str(error).split()):.300}"
                ) from error
        return _as_array(out, self.layer)

    def exported(self, size: tuple[int, int], channels: int, free_size: bool = False) -> bytes:
        """Return the network up to the layer as an ONNX file with the output "features" and any batch size.

        With `free_size`, the file also accepts any image size.
        """
        import torch

        example = torch.zeros((2, channels, *size))
        return onnx_bytes(_wrapped(self._compute, self.module), example, "features", free_size=free_size)

    def _autocast(self) -> Any:
        import torch

        if self.precision == "float32":
            return torch.autocast(self.device.split(":")[0], enabled=False)
        return torch.autocast(self.device.split(":")[0], dtype=getattr(torch, PRECISIONS[self.precision]))


def _computation(module: Any, layer: str | None, name: str) -> Callable[[Any], Any]:
    """Return a function from a batch to the output of the layer."""
    is_timm = hasattr(module, "forward_features") and hasattr(module, "forward_head")
    if layer is None:
        return module
    if layer == PRE_LOGITS and is_timm:
        return lambda batch: module.forward_head(module.forward_features(batch), pre_logits=True)
    if layer.startswith(MAP) and hasattr(module, "forward_intermediates"):
        index = _map_index(layer)
        return lambda batch: module.forward_intermediates(batch, indices=[index], intermediates_only=True)[0]
    layers = dict(module.named_modules())
    if layer not in layers or not layer:
        known = [key for key in layers if key] + [PRE_LOGITS, f"{MAP}-1"] * is_timm
        raise InputError(f"{name} has no layer {layer!r}; nearest: {nearest_names(layer, known)}")

    def reached(_: Any, __: Any, output: Any) -> None:
        raise _Reached(output)

    layers[layer].register_forward_hook(reached)

    def compute(batch: Any) -> Any:
        try:
            module(batch)
        except _Reached as result:
            return result.output
        raise InputError(f"{name} does not use its layer {layer!r}; choose another layer")

    return compute


def _map_index(layer: str) -> int:
    try:
        return int(layer.removeprefix(MAP))
    except ValueError:
        raise InputError(f"layer must name a map by its number, such as 'map:0' or 'map:-1'; got {layer!r}") from None


def _as_array(out: Any, layer: str | None) -> np.ndarray:
    if isinstance(out, (tuple, list)) and len(out) == 1:
        out = out[0]
    if isinstance(out, dict) and len(out) == 1:
        out = next(iter(out.values()))
    if not hasattr(out, "detach"):
        where = "the network" if layer is None else f"layer {layer!r}"
        raise InputError(f"{where} returns a {type(out).__name__}, not one tensor; choose a layer that returns one tensor")
    values: np.ndarray = out.detach().float().cpu().numpy()
    return values


def _wrapped(compute: Callable[[Any], Any], module: Any) -> Any:
    """Return a module that computes the layer, for the export."""
    import torch

    class Features(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.module = module

        def forward(self, image: Any) -> Any:
            return compute(image)

    return Features().eval()


KEPT = RecentNetworks()
