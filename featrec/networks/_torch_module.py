"""Make a torch module from a callable, a template, or the name of a featrec or timm model; and read its weights from a file."""

from __future__ import annotations

import copy
import hashlib
import os
import re
import sys
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from featrec.exceptions import InputError, MissingExtraError

__all__ = [
    "LEAST_SIZES",
    "NamesModules",
    "check_source",
    "file_digest",
    "import_timm",
    "is_named",
    "least_size",
    "lenet5",
    "load_weights",
    "made_from",
    "nearest_names",
    "read_weights",
    "short_name",
    "small_resnet",
    "timm_module",
    "timm_name",
]

TIMM = "timm:"
# timm would read other names, such as "hf-hub:..." and "local-dir:...", from the network or from folders.
TIMM_NAME = re.compile(r"\w+(\.\w+)?")
MODULE_FILES = (".pt", ".pth", ".pt2", ".ckpt", ".safetensors", ".onnx")
EXPORT = (
    "To use a network from a file, load it in Python and pass the module; or export it with "
    'torch.onnx.export(module.eval(), example, "net.onnx") and use CNNFeatures("net.onnx", ...)'
)
# Factor of the last layer's outputs. It keeps the first outputs small, so training is stable with a high learning rate.
SCALE = 0.125
PIECE = 2**20
# Maximum number of names in a message.
MOST_NAMES = 5


class NamesModules:
    """Mixin of estimators with a module as a parameter, which shows the short name of the module when it is printed."""

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Get the parameters of this estimator.

        Parameters
        ----------
        deep : bool, default=True
            Whether to include the parameters of estimators inside it.

        Returns
        -------
        params : dict
        """
        params: dict[str, Any] = super().get_params(deep)  # type: ignore[misc]
        # scikit-learn prints all parameters, including those of pipeline steps, and a full module would fill pages.
        if sys._getframe(1).f_globals.get("__name__") == "sklearn.utils._pprint":
            params |= {
                name: _Shown(value) for name, value in params.items() if callable(value) and not hasattr(value, "get_params")
            }
        return params


class _Shown:
    """Prints the short name of a module."""

    def __init__(self, module: Any):
        self.module = module

    def __repr__(self) -> str:
        return f"<{short_name(self.module)}>"


def _is_module(value: Any) -> bool:
    return callable(getattr(value, "state_dict", None)) and not isinstance(value, type)


def is_named(source: Any) -> bool:
    """Whether the architecture is known by its name, so that a model file does not need to contain it."""
    return isinstance(source, str) and (source in OWN_MODULES or source.startswith(TIMM))


def short_name(source: Any) -> str:
    """Return a name for messages: the name itself, or the path of the callable or of the module's class."""
    if isinstance(source, str):
        return source
    named = type(source) if _is_module(source) or not hasattr(source, "__qualname__") else source
    return f"{named.__module__}.{named.__qualname__}"


def check_source(source: Any, stage: str, parameter: str, *, own: bool = True) -> None:
    """Check the parameter that specifies the module, before any work."""
    if not isinstance(source, str):
        return
    if source.startswith(TIMM):
        check_timm_name(source, stage)
    elif source.lower().endswith(MODULE_FILES):
        raise InputError(
            f"{stage}: {parameter}={source!r} is a file name; a file does not contain the code of a network. {EXPORT}"
        )
    elif not own or source not in OWN_MODULES:
        names = ", ".join(map(repr, OWN_MODULES)) + " or " if own else ""
        raise InputError(
            f"{stage}: {parameter} must be {names}a timm model such as 'timm:resnet18', or a module; got {source!r}. After a "
            f"model file was loaded, {parameter} may be only the name of a module that is not in the file: set it with "
            f"set_params({parameter}=...) before another fit"
        )


def check_timm_name(source: str, stage: str) -> None:
    """Check that timm is installed and knows the name; list the nearest names otherwise."""
    timm = import_timm(stage)
    name = timm_name(source)
    if TIMM_NAME.fullmatch(name) and timm.is_model(name):
        _check_tag(timm, name, stage)
        return
    near = get_close_matches(name, timm.list_models(), n=5, cutoff=0.4)
    raise InputError(
        f"{stage}: timm {timm.__version__} has no model {name!r}. Nearest names: {', '.join(near) or 'none'}; "
        "timm.list_models() lists all"
    )


def _check_tag(timm: Any, name: str, stage: str) -> None:
    try:
        timm.get_pretrained_cfg(name)
    except RuntimeError as error:
        architecture, _, tag = name.partition(".")
        tags = [found.partition(".")[2] for found in timm.list_pretrained(f"{architecture}.*")]
        raise InputError(
            f"{stage}: timm {timm.__version__} has no weights {tag!r} for {architecture}; it has {tags}"
        ) from error


def import_timm(stage: str) -> Any:
    """Import timm; the error message names the extra to install."""
    try:
        import timm
    except ImportError as error:
        raise MissingExtraError(f'{stage} needs timm; pip install "featrec[timm]" installs it') from error
    except RuntimeError as error:  # torchvision, which timm imports, was built for another torch
        reason = str(error).splitlines()[0]
        raise MissingExtraError(
            f"{stage} cannot import timm ({reason}); install the version of torchvision that matches the installed torch"
        ) from error
    return timm


def timm_name(source: str) -> str:
    """Return the name without the prefix "timm:"."""
    return source.removeprefix(TIMM)


def made_from(source: Any, n_channels: int, size: tuple[int, int], n_classes: int, stage: str) -> Any:
    """Make a module for images of this size."""
    if isinstance(source, str) and source.startswith(TIMM):
        return timm_module(source, stage, num_classes=n_classes, in_chans=n_channels, size=size)
    if isinstance(source, str):
        return OWN_MODULES[source](n_channels, size, n_classes)
    if _is_module(source):
        return copy.deepcopy(source)
    from torch import nn

    asked = f"(n_channels={n_channels}, size={size}, n_classes={n_classes})"
    try:
        module = source(n_channels, size, n_classes)
    except Exception as error:
        raise InputError(f"{stage}: {short_name(source)}{asked} raises {type(error).__name__}: {error}") from error
    if not isinstance(module, nn.Module):
        raise InputError(f"{stage}: {short_name(source)}{asked} must return a torch.nn.Module; got {type(module).__name__}")
    return module


def timm_module(source: str, stage: str, *, size: tuple[int, int], pretrained: bool = False, **options: Any) -> Any:
    """Make a timm module with random weights; with ``pretrained=True``, timm downloads the weights."""
    check_timm_name(source, stage)
    timm, name = import_timm(stage), timm_name(source)
    if getattr(timm.get_pretrained_cfg(name), "fixed_input_size", False):
        options["img_size"] = size
    try:
        return timm.create_model(name, pretrained=pretrained, **options)
    except Exception as error:
        raise InputError(f"{stage}: timm cannot make {name!r} for images of {size[0]} × {size[1]} pixels: {error}") from error


def least_size(source: Any) -> int:
    """Return the minimum height and width of images, if they are known."""
    return LEAST_SIZES.get(source, 1) if isinstance(source, str) else 1


def lenet5(n_channels: int, size: tuple[int, int], n_classes: int) -> Any:
    """Make the layers of LeNet-5."""
    from torch import nn

    height, width = ((length // 2 - 4) // 2 for length in size)
    return nn.Sequential(
        nn.Conv2d(n_channels, 6, 5, padding=2),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(6, 16, 5),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(16 * height * width, 120),
        nn.ReLU(),
        nn.Linear(120, 84),
        nn.ReLU(),
        nn.Linear(84, n_classes),
    )


def small_resnet(n_channels: int, size: tuple[int, int], n_classes: int, width: int = 32) -> Any:
    """Make a residual network of nine layers; `width` is the number of maps of the first layer."""
    from torch import nn

    def layer(inputs: int, outputs: int, *, halve: bool = False) -> list:
        pooling = [nn.MaxPool2d(2)] if halve else []
        convolution = nn.Conv2d(inputs, outputs, 3, padding=1, bias=False)
        return [convolution, *pooling, nn.BatchNorm2d(outputs), nn.ReLU()]

    class Residual(nn.Sequential):
        def forward(self, values: Any) -> Any:
            return values + super().forward(values)

    class Scaled(nn.Linear):
        def forward(self, values: Any) -> Any:
            return super().forward(values) * SCALE

    first, second, third, fourth = (width * factor for factor in (1, 2, 4, 8))
    return nn.Sequential(
        *layer(n_channels, first),
        *layer(first, second, halve=True),
        Residual(*layer(second, second), *layer(second, second)),
        *layer(second, third, halve=True),
        *layer(third, fourth, halve=True),
        Residual(*layer(fourth, fourth), *layer(fourth, fourth)),
        nn.AdaptiveMaxPool2d(1),
        nn.Flatten(),
        Scaled(fourth, n_classes, bias=False),
    )


# The modules that have a name, and the minimum height and width of their images.
OWN_MODULES = {"lenet5": lenet5, "small_resnet": small_resnet}
LEAST_SIZES = {"lenet5": 12, "small_resnet": 8}


def nearest_names(name: Any, known: Iterable[str]) -> str:
    """Return the names that are most similar to `name`, for an error message."""
    known = list(known)
    close = get_close_matches(str(name), known, MOST_NAMES, cutoff=0.4) or known[-MOST_NAMES:]
    return ", ".join(map(repr, close)) + (f" (of {len(known)})" if len(known) > len(close) else "")


def file_digest(path: Path) -> str:
    """Return the SHA-256 of a file."""
    digest = hashlib.sha256()
    try:
        with path.open("rb") as file:
            while piece := file.read(PIECE):
                digest.update(piece)
    except FileNotFoundError:
        raise InputError(f"no weights file at {str(path)!r}; check the path and the working directory") from None
    except OSError as error:
        raise InputError(f"the weights at {str(path)!r} cannot be read: {error}") from error
    return digest.hexdigest()


def read_weights(weights: str | os.PathLike, sha256: str | None = None) -> dict[str, Any]:
    """Read a .safetensors file, or a torch.save file with ``weights_only=True``; check its SHA-256 first, if it is given."""
    path = Path(weights)
    if sha256 is not None and (found := file_digest(path)) != sha256.lower():
        raise InputError(
            f"the weights at {str(path)!r} have changed: their SHA-256 is {found}, expected {sha256}. Use the "
            "original file, or "
            "set sha256 to the new value if you trust it."
        )
    state = _read(path)
    state = next((state[key] for key in ("state_dict", "model") if isinstance(state.get(key), Mapping)), state)
    foreign = [name for name, value in state.items() if not hasattr(value, "shape")]
    if foreign or not state:
        raise InputError(f"{str(path)!r} does not contain the weights of a network; its entries are {list(state)[:MOST_NAMES]}")
    return dict(state)


def _read(path: Path) -> Mapping[str, Any]:
    import torch

    if not path.is_file():
        raise InputError(f"no weights file at {str(path)!r}; check the path and the working directory")
    if path.suffix == ".safetensors":
        try:
            from safetensors.torch import load_file
        except ImportError as error:
            raise MissingExtraError('safetensors files need safetensors; pip install "featrec[timm]" installs it') from error
        read: Any = load_file
    else:
        # With weights_only=True, torch reads tensors and plain containers, and refuses everything that would execute code.
        def read(path: Path) -> Any:
            return torch.load(path, map_location="cpu", weights_only=True)

    try:
        state = read(path)
    except Exception as error:
        raise InputError(
            f"the weights at {str(path)!r} cannot be read without executing code, or are damaged: "
            f"{' '.join(str(error).split()):.200} Save them with safetensors, or with torch.save(module.state_dict(), path)."
        ) from error
    if not isinstance(state, Mapping):
        raise InputError(f"{str(path)!r} contains {type(state).__name__}, not a dict of weights; save module.state_dict()")
    return state


def load_weights(module: Any, state: Mapping[str, Any], key_map: Any = None, where: str = "the file") -> None:
    """Copy weights into a module. Names and shapes must be equal, unless `key_map` translates the names.

    Parameters
    ----------
    module : torch.nn.Module
    state : dict of name to tensor
    key_map : dict of name in the file to name in the module, or "order", optional
        "order" assigns the weights in the order of the file; their shapes must be the same, one by one.
    where : str
        Name of the file for error messages.
    """
    wanted = {name: tuple(value.shape) for name, value in module.state_dict().items()}
    if key_map == "order":
        if len(state) != len(wanted):
            raise InputError(
                f"{where} has {len(state)} tensors, but the network has {len(wanted)}; key_map='order' needs equal numbers"
            )
        state = dict(zip(wanted, state.values(), strict=True))
    elif key_map is not None:
        unknown = [name for name in key_map if name not in state]
        if unknown:
            raise InputError(
                f"key_map contains {unknown[0]!r}, which is not in {where}; nearest: {nearest_names(unknown[0], state)}"
            )
        state = {key_map.get(name, name): value for name, value in state.items()}
    missing = [name for name in wanted if name not in state]
    extra = [name for name in state if name not in wanted]
    if missing or extra:
        raise InputError(
            f"the names in {where} do not match the network: missing {_some(missing)}, unknown {_some(extra)}. Set key_map to "
            "a dict from the names in the file to the names in the network, or to 'order' if the tensors are in the same order."
        )
    for name, shape in wanted.items():
        if tuple(state[name].shape) != shape:
            raise InputError(f"{name!r} has shape {tuple(state[name].shape)} in {where}, but {shape} in the network")
    module.load_state_dict(state)


def _some(names: list[str]) -> str:
    more = f" and {len(names) - MOST_NAMES} more" if len(names) > MOST_NAMES else ""
    return (", ".join(map(repr, names[:MOST_NAMES])) or "none") + more
