"""Make a torch module from a callable, a template, or the name of a featrec or timm model."""

from __future__ import annotations

import copy
import difflib
import re
import sys
from typing import Any

from featrec.exceptions import InputError, MissingExtraError
from featrec.networks._own_modules import LEAST_SIZES, OWN_MODULES

__all__ = [
    "NamesModules",
    "check_source",
    "import_timm",
    "is_named",
    "least_size",
    "made_from",
    "short_name",
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
    near = difflib.get_close_matches(name, timm.list_models(), n=5, cutoff=0.4)
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
